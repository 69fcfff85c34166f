"""What our timestamps are worth to Sigstore's own JavaScript verifier."""

from pathlib import Path

from launcher.spec.predicates import LOCK_TYPE
from launcher.trust.sigstore import open_envelope, seal_payload
from launcher.trust.timestamps import StampedSigner
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
