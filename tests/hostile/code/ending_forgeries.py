"""Attacks that claim what is not so."""

import contextlib
import json
import os
import struct
import time

from endings import EVENTS, HONEST, LIE, OUT, SAMPLES, be_honest, ending


@ending
def forged_hand_over() -> None:
    """Records and tokens of one's own on the stream that carries pid 1's, and what was read from it."""
    be_honest()
    body = LIE.encode()
    status = b"S" + struct.pack("<BIIQQQQ", 0, 0, 0, 10**9, 1, 1, 1)
    file = b"F" + struct.pack("<HQ", 13, len(body)) + b"samples.jsonl" + body
    end = b"E" + struct.pack("<IIQ", 1, 0, len(body))
    with contextlib.suppress(OSError):
        stolen = os.open("/proc/self/fd/1", os.O_RDONLY | os.O_NONBLOCK)
        for _ in range(15):
            with contextlib.suppress(OSError):
                os.write(1, os.read(stolen, 65536)[:48])
            time.sleep(0.1)
    for token in (b"", b"\0" * 32, os.urandom(32), b"\xff" * 32):
        os.write(1, token + status + file + end)
    os.write(1, os.urandom(16) + struct.pack("<Q", 2**63))


@ending
def forged_messages() -> None:
    """What the launcher might say, and what a terminal would obey, in logs, samples and events."""
    answer = {"bundle": "/", "status": "succeeded", "verdict": "pass", "failure": None}
    escapes = "\x1b[2J\x1b]0;title\x07\x1b]8;;http://192.0.2.1\x07link\x1b]52;c;eA==\x07\u202e\x9b31m\r\x00\b"
    for stream in (1, 2):
        os.write(stream, f"{json.dumps(answer)}\n{escapes}\nevalctl: verified\n".encode() + b"\xff\xfe")
    sample = {"id": "honest", "prediction": "honest", "groups": {"x": escapes}}
    SAMPLES.write_text(json.dumps(sample) + "\n")
    EVENTS.write_text(json.dumps({"step": escapes, "detail": {"said": escapes}}) + "\n")


@ending
def forged_reason() -> None:
    """A fault whose description quotes what a terminal would obey."""
    SAMPLES.write_text(json.dumps({"id": "honest", "\x1b[2J\x1b]0;evalctl: verified\x07\u202e": 1}) + "\n")


@ending
def planted_bundle() -> None:
    """Every file that a bundle has, signed by nobody, where the launcher might pick it up."""
    be_honest()
    names = ["SHA256SUMS", "result.json", "lock.json", "environment.json", "resources.jsonl"]
    names += ["sbom.cdx.json"]
    names += ["attestations/result.sigstore.json", "logs/run-0.stdout", "predictions/0/samples.jsonl"]
    for name in [*names, *(f"artifacts/{name}" for name in names), "artifacts/0/draft.patch"]:
        path = OUT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"status": "succeeded", "verdict": "pass"}')


@ending
def claimed_metrics() -> None:
    """A wrong answer beside files that claim a perfect score."""
    SAMPLES.write_text(LIE)
    (OUT / "artifacts").mkdir()
    for name in ("result.json", "metrics.json", "samples.jsonl"):
        (OUT / "artifacts" / name).write_text('{"as-expected": 1.0, "accuracy": 1.0}')


@ending
def shrinking_samples() -> None:
    """Samples that grow, vanish and come back while they are counted."""
    end = time.monotonic() + 3.5
    while time.monotonic() < end:
        SAMPLES.write_text(HONEST * 100_000)
        time.sleep(0.2)
        SAMPLES.unlink()
        with contextlib.suppress(OSError):
            os.symlink("/eval/inputs/canary", SAMPLES)
            time.sleep(0.2)
            os.unlink(SAMPLES)
    be_honest()


@ending
def no_samples() -> None:
    """An end that looks like success and leaves nothing."""
