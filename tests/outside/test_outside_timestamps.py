"""What our timestamps are worth to Sigstore's own JavaScript verifier, and to the one of one file."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from launcher.exports import evalctl_verify
from launcher.spec.predicates import LOCK_TYPE
from launcher.trust.policy_edit import initial_policy
from launcher.trust.sigstore import open_envelope, seal_payload
from launcher.trust.timestamps import StampedSigner
from tests.fakes.world import SmallWorld
from tests.outside.judges import Case, sigstore_js
from tests.signing.authorities import TestAuthority, make_authority
from tests.trust.sealed_bundle import ALICE, sealed

LOCK = "attestations/lock.sigstore.json"


def chain(authority: TestAuthority) -> tuple[str, ...]:
    return tuple((authority.folder / name).read_text() for name in ("signer.pem", "root.pem"))


def test_sigstore_accepts_our_timestamps_and_refuses_others(tmp_path: Path) -> None:
    own, other = make_authority(tmp_path / "own"), make_authority(tmp_path / "other")
    files = sealed()
    (tmp_path / "lock.json").write_bytes(files["lock.json"])
    payload = open_envelope(files[LOCK]).payload
    stamps = {
        "good": own.stamp,
        "another signature's": lambda _: own.stamp(b"another signature"),
        "none": lambda _: None,
    }
    cases = []
    for name, stamp in stamps.items():
        (tmp_path / name).write_bytes(seal_payload(payload, StampedSigner(ALICE, stamp)))
        for authority in (own, other):
            path, folder = str(tmp_path / name), str(tmp_path)
            cases.append(Case(path, ALICE.public.pem, LOCK_TYPE, folder, chain(authority)))
    verdicts = sigstore_js(cases, tmp_path)
    assert [verdict is None for verdict in verdicts] == [True, False, False, False, False, False], verdicts


def test_the_one_file_verifier_skips_authorities_it_does_not_know_and_refuses_anothers_stamp(
    tmp_path: Path, world: SmallWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    own = make_authority(tmp_path / "own")
    bundle = world.launch(signer=StampedSigner(ALICE, own.stamp)).bundle
    (tmp_path / "alice.pub").write_text(ALICE.public.openssh)
    (tmp_path / "trust.toml").write_text(single_key_text() + own.table())

    def told(*options: str) -> tuple[int, dict[str, str]]:
        code = evalctl_verify.main([str(bundle), *options, "--json"])
        checks = json.loads(capsys.readouterr().out)["checks"]
        return code, {check["name"]: check["status"] for check in checks}

    for option, file, said in (("--key", "alice.pub", "skipped"), ("--trust", "trust.toml", "ok")):
        code, checks = told(option, str(tmp_path / file))
        assert code == 0, checks
        assert [checks[f"timestamp:{name}"] for name in ("lock", "provenance", "result")] == [said] * 3
    payload = open_envelope((bundle / LOCK).read_bytes()).payload
    other = StampedSigner(ALICE, lambda _: own.stamp(b"another signature"))
    (bundle / LOCK).write_bytes(seal_payload(payload, other))
    code, checks = told("--key", str(tmp_path / "alice.pub"))
    assert (code, checks["timestamp:lock"]) == (1, "failed")


def single_key_text() -> str:
    return initial_policy("alice", ALICE.public, datetime.now(UTC))
