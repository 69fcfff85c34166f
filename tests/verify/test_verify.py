"""Verification of bundles that real launches made, and of what a hostile hand made of them."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from launcher.spec import bundle as names
from launcher.trust.policy import single_key_policy
from launcher.trust.policy_edit import initial_policy
from launcher.verify import verify
from tests.conftest import Evalctl
from tests.fakes.forgery import copy_of, relock, relocked, reseal
from tests.fakes.world import SmallWorld, answering
from tests.trust.sealed_bundle import ALICE, MALLORY
from tests.verify.verdicts import Forge, refusal, verdict


def test_the_untouched_bundle_verifies(shared: SmallWorld, bundle: Path) -> None:
    assert verdict(shared, bundle) == "verified"


def test_no_changed_byte_of_any_file_goes_unnoticed(shared: SmallWorld, bundle: Path) -> None:
    """Flip, insert and delete at places spread over every file: each of thousands of bundles fails."""
    chance, policy, now, tried = random.Random(7), shared.policy, datetime.now(UTC), 0
    for path in sorted(path for path in bundle.rglob("*") if path.is_file()):
        data = path.read_bytes()
        places = {0, len(data) - 1, *(chance.randrange(len(data)) for _ in range(40))}
        for place in places:
            flipped = data[place] ^ (1 << chance.randrange(8))
            for end in (bytes([flipped]) + data[place + 1 :], b"\n" + data[place:], data[place + 1 :]):
                path.write_bytes(data[:place] + end)
                found = verify(bundle, policy, now)
                assert found.verdict == "failed", (path.name, place, found.checks)
                tried += 1
        path.write_bytes(data)
    assert tried > 1500
    assert verdict(shared, bundle) == "verified"


def test_a_stranger_s_bundle_is_untrusted_not_broken(bundle: Path) -> None:
    found = verify(bundle, single_key_policy(MALLORY.public), datetime.now(UTC))
    assert (found.verdict, found.contents) == ("untrusted", None)


def test_a_stranger_s_changed_bundle_is_broken(bundle: Path) -> None:
    (bundle / "events.jsonl").write_bytes(b"{}\n")
    found = verify(bundle, single_key_policy(MALLORY.public), datetime.now(UTC))
    assert found.verdict == "failed"


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        folder = os.open(path.parent, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)


HARM: dict[str, Forge] = {
    "an extra file": lambda bundle: (bundle / "extra").write_bytes(b""),
    "an extra log": lambda bundle: (bundle / "logs").mkdir() or (bundle / "logs" / "x").write_bytes(b""),
    "an extra attestation": lambda bundle: (bundle / "attestations" / "x.json").write_bytes(b"{}"),
    "an empty folder": lambda bundle: (bundle / "logs").mkdir(),
    "a folder for a file": lambda bundle: (
        (bundle / "events.jsonl").unlink() or (bundle / "events.jsonl").mkdir()
    ),
    "a symbolic link": lambda bundle: (
        (bundle / "lock.json").unlink() or (bundle / "lock.json").symlink_to("/etc/hostname")
    ),
    "a link in artifacts": lambda bundle: (bundle / "artifacts" / "link").symlink_to("0"),
    "a hard link": lambda bundle: os.link(bundle / "lock.json", bundle.parent / "link"),
    "a FIFO": lambda bundle: _fifo(bundle / "artifacts" / "pipe"),
    "a FIFO for a file": lambda bundle: (bundle / "lock.json").unlink() or _fifo(bundle / "lock.json"),
    "a socket": lambda bundle: _socket(bundle / "artifacts" / "socket"),
    "a missing artifact": lambda bundle: (bundle / "artifacts" / "0" / "plot.png").unlink(),
    "a name with a line feed": lambda bundle: (bundle / "artifacts" / "0" / "a\nb").write_bytes(b""),
    "a name with an escape": lambda bundle: (bundle / "artifacts" / "0" / "\x1b[31m").write_bytes(b""),
    "a name that is not UTF-8": lambda bundle: os.close(
        os.open(os.fsencode(bundle / "artifacts" / "0") + b"/\xff", os.O_CREAT | os.O_WRONLY)
    ),
    "an empty result": lambda bundle: (bundle / "result.json").write_bytes(b""),
    "a swapped attestation": lambda bundle: shutil.copy(
        bundle / names.RESULT_ATTESTATION, bundle / names.PROVENANCE_ATTESTATION
    ),
    **{
        f"no {name}": lambda bundle, name=name: (bundle / name).unlink()  # type: ignore[misc]
        for name in (*names.REQUIRED, *names.REQUIRED_ATTESTATIONS)
    },
}


@pytest.mark.parametrize("harm", HARM)
def test_a_bundle_with(shared: SmallWorld, bundle: Path, harm: str, evalctl: Evalctl) -> None:
    HARM[harm](bundle)
    assert refusal(shared, bundle)
    done = evalctl("verify", bundle, "--key", shared.home.default_key.with_suffix(".pub"), "--json")
    answer = json.loads(done.out)
    assert (done.code, answer["verdict"], done.err) == (1, "failed", "")


def test_attestations_of_another_bundle_are_refused(world: SmallWorld) -> None:
    world.write()
    first, second = world.launch().bundle, world.launch(rerun=True).bundle
    for name in (names.PROVENANCE_ATTESTATION, names.RESULT_ATTESTATION):
        mixed = copy_of(first, world.root / name.replace("/", "-"))
        shutil.copy(second / name, mixed / name)
        assert "about other files" in refusal(world, mixed)


def test_a_failed_run_verifies_and_one_with_a_score_does_not(world: SmallWorld) -> None:
    world.plays(lambda _: 3)
    bundle = world.launch().bundle
    assert verdict(world, bundle) == "verified"
    forged = copy_of(bundle, world.root / "forged")
    (forged / "samples.jsonl").write_bytes(b'{"id":"a","prediction":1,"replicate":0,"seed":0,"target":1}\n')
    reseal(forged, world.signer)
    assert "a failed run has samples" in refusal(world, forged)


@pytest.mark.parametrize(
    "change",
    [
        {"weight": 1e308},
        {"weight": 5e-324},
        {"prediction": 1e308},
        {"prediction": {"deep": [1, {"a": None}]}},
        {"target": 5e-324},
        {"target": [], "error": "x"},
        {"epoch": 2**53 - 1, "task": "x" * 1024},
        {"scores": {"x": -1e308}, "groups": {"g": True}},
    ],
)
def test_odd_samples_are_computed_again_like_any(world: SmallWorld, change: dict[str, Any]) -> None:
    world.plays(answering(lambda _, sample: {"target": 1, **sample, **change}))
    launched = world.launch(sections={"score": None, "labels": None})
    assert verdict(world, launched.bundle) == "verified"


def test_a_lock_of_what_this_version_cannot_run_still_verifies(shared: SmallWorld, bundle: Path) -> None:
    """A newer evalctl may have run it; what counts is that the bundle holds together."""
    relock(bundle, b'\n[matrix]\naxes = { "run.seeds" = [[1], [2]] }\n')
    reseal(bundle, shared.signer, **relocked(bundle))
    assert verdict(shared, bundle) == "verified"


def test_what_this_version_does_not_know_is_named_as_not_checked(shared: SmallWorld, bundle: Path) -> None:
    relock(bundle, b'\n[matrix]\naxes = { "run.seeds" = [[1], [2]] }\n')
    reseal(bundle, shared.signer, **relocked(bundle))
    checks = {check.name: check for check in shared.verify(bundle).checks}
    assert checks["features"].status == "skipped"
    assert "matrix" in checks["features"].detail


def test_verification_uses_no_network_and_no_engine(shared: SmallWorld, bundle: Path) -> None:
    program = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise AssertionError('network')\n"
        "socket.socket = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from launcher.cli.app import run\n"
        "code = run(sys.argv[1:])\n"
        "assert not [name for name in sys.modules if name.startswith(('launcher.engines', 'docker'))]\n"
        "sys.exit(code)\n"
    )
    key = str(shared.home.default_key.with_suffix(".pub"))
    done = subprocess.run(
        [sys.executable, "-c", program, "verify", str(bundle), "--key", key],
        env=os.environ | {"EVALCTL_HOME": str(bundle.parent / "stranger")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, f"  next: evalctl report {bundle} --out report.html\n")
    # All that it keeps is the ledger's checkpoint, to hold later ones against.
    assert [path.name for path in (bundle.parent / "stranger").iterdir()] == ["seen-ledgers"]


def test_a_bundle_that_may_not_be_written_verifies(shared: SmallWorld, bundle: Path) -> None:
    for path in (*bundle.rglob("*"), bundle):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in bundle.rglob("*")}
    assert verdict(shared, bundle) == "verified"
    assert before == {path: path.stat().st_mtime_ns for path in bundle.rglob("*")}
    for path in (bundle, *bundle.rglob("*")):
        path.chmod(0o755)


def test_the_command_says_what_to_do_about_a_stranger(
    shared: SmallWorld, bundle: Path, evalctl: Evalctl, tmp_path: Path
) -> None:
    (tmp_path / "mallory.pub").write_text(MALLORY.public.openssh)
    done = evalctl("verify", bundle, "--key", tmp_path / "mallory.pub")
    assert done.code == 3
    assert shared.signer.public.fingerprint in done.err
    assert "evalctl trust add" in done.err


def test_a_machine_without_a_policy_says_who_signed_and_still_sees_tampering(
    shared: SmallWorld, bundle: Path, evalctl: Evalctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EVALCTL_HOME", str(tmp_path / "stranger"))
    done = evalctl("verify", bundle)
    assert (done.code, shared.signer.public.fingerprint in done.err) == (3, True)
    (bundle / names.SAMPLES).write_bytes(b"")
    assert evalctl("verify", bundle).code == 1
    assert not (tmp_path / "stranger").exists()


def test_a_signer_who_is_known_but_may_not_sign_is_no_reason_to_add_the_key_again(
    shared: SmallWorld, bundle: Path, evalctl: Evalctl, tmp_path: Path
) -> None:
    text = initial_policy("anna", shared.signer.public, datetime(2001, 1, 1, tzinfo=UTC))
    (tmp_path / "trust.toml").write_text(text)
    done = evalctl("verify", bundle, "--trust", tmp_path / "trust.toml")
    assert (done.code, "trust add" in done.err, "trust show" in done.err) == (3, False, True)


def test_a_home_whose_policy_was_thrown_away_can_begin_another(
    evalctl: Evalctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EVALCTL_HOME", str(tmp_path / "home"))
    for signer in (ALICE, MALLORY):
        (tmp_path / "key.pub").write_text(signer.public.openssh)
        assert evalctl("trust", "add", tmp_path / "key.pub", "--name", signer.public.key_hex[:8]).code == 0
    (tmp_path / "home" / "trust.toml").unlink()
    assert evalctl("trust", "add", tmp_path / "key.pub").code == 0
    assert "version 3" in evalctl("trust", "show").out


def test_json_of_a_verification_has_its_shape(world: SmallWorld, evalctl: Evalctl) -> None:
    launched = world.launch()
    answer = json.loads(evalctl("verify", launched.bundle, "--json").out)
    assert (answer["verdict"], answer["attempt"], answer["reproductions"]) == ("verified", 1, [])
    assert answer["signers"] == [world.signer.public.fingerprint]
    assert answer["digest"] == f"sha256:{launched.bundle.name}"
    assert {check["status"] for check in answer["checks"]} == {"ok"}
    assert evalctl("verify", launched.bundle.name[:12]).code == 0


@pytest.mark.parametrize("name", ["nowhere", "sha256:" + "0" * 64, ""])
def test_no_such_bundle_is_a_mistake_of_the_command_line(evalctl: Evalctl, name: str) -> None:
    assert evalctl("verify", name or "/dev/null").code == 2
