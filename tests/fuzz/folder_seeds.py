"""What fuzzing of files and folders begins with: archives of each form, logs of real harnesses, a ledger."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from launcher.archives.zstandard import zstandard
from launcher.ledger.checkpoint import Checkpoint, ledger_key
from launcher.ledger.entries import entry_bytes
from launcher.ledger.tiles import leaf_hashes, pack_entries
from launcher.ledger.tree import fold
from launcher.signing.wire import string
from tests.bundles.keys import ALICE, ALICE_P256
from tests.bundles.ledgers import counted, proof_of, signed
from tests.fuzz.folders import joined
from tests.harness.test_harness_fuzz import INSPECT, LOGS, log_files

_FILES = {"a.txt": b"a\n", "folder/b.json": b'{"b":[1,2]}', "folder/\u00e9": b"x" * 600}


def folder_seeds() -> Mapping[str, tuple[bytes, ...]]:
    """Return the seeds of those targets."""
    proof = proof_of(counted())
    attempt = replace(proof.attempt, attempt=1, position=1)
    entries = [*map(entry_bytes, (attempt, replace(proof.outcome, index=0, of=attempt.sha256)))]
    return {
        "tar": tuple(_tars()),
        "zip": tuple(_zips()),
        "gz": (gzip.compress(b"a line\n" * 100, mtime=0), gzip.compress(b"", mtime=0)),
        "zst": (zstandard().compress(b"a line\n" * 100),),
        "agent-keys": (_keys(),),
        "agent-signature": tuple(_signatures()),
        "lm-eval": tuple(map(_logs, ("lm-eval", "lm-eval-limited", "lm-eval-unlogged"))),
        "inspect": (_inspect(), *map(_logs, ("inspect-cancelled", "inspect-limited", "inspect-failed"))),
        "ledger": (_ledger(entries),),
        "ledger-entries": (bytes([len(entries)]) + pack_entries(entries),),
    }


def _tars() -> Iterator[bytes]:
    for mode in ("w", "w:gz", "w:xz", "w:bz2"):
        for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT) if mode == "w" else (tarfile.PAX_FORMAT,):
            made = io.BytesIO()
            with tarfile.open(fileobj=made, mode=mode, format=form) as archive:
                for name, data in {**_FILES, "n" * 120: b"n"}.items():
                    entry = tarfile.TarInfo(name)
                    entry.size = len(data)
                    entry.pax_headers = {"mtime": "1.5", "comment": "c"} if form == tarfile.PAX_FORMAT else {}
                    archive.addfile(entry, io.BytesIO(data))
            yield made.getvalue()


def _zips() -> Iterator[bytes]:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", method) as archive:
            for name, data in _FILES.items():
                with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                    member.write(data)
        yield made.getvalue()


def _keys() -> bytes:
    keys = [key.public.blob for key in (ALICE, ALICE_P256)]
    return len(keys).to_bytes(4, "big") + b"".join(string(key) + string(b"a comment") for key in keys)


def _signatures() -> Iterator[bytes]:
    yield string(string(b"ssh-ed25519") + string(ALICE.sign(b"data")))
    numbers = string(b"\0" + b"\x81" * 32) + string(b"\x01" * 32)
    yield string(string(b"ecdsa-sha2-nistp256") + string(numbers))


def _logs(case: str) -> bytes:
    # What they wrote lies below folders with their own names, which say nothing.
    return joined({Path(name).name: data for name, data in log_files(case).items()})


def _inspect() -> bytes:
    samples = [{key: value for key, value in each.items() if key != "events"} for each in INSPECT["samples"]]
    name = next((LOGS / "inspect-errors").iterdir()).name
    return joined({name: json.dumps({**INSPECT, "samples": samples}).encode()})


def _ledger(packed: list[bytes]) -> bytes:
    """Return a ledger of these entries, which anybody with a key could have made."""
    leaves, key = leaf_hashes(packed), ledger_key(ALICE.public)
    checkpoint = signed(Checkpoint(key.name, len(packed), fold(leaves)), key, ALICE)
    files = {
        "checkpoint": checkpoint.data,
        "tile/0/000.p/2": b"".join(leaves),
        "tile/entries/000.p/2": pack_entries(packed),
    }
    return joined(files)
