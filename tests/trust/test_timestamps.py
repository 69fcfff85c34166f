"""Timestamps as `verify` checks them: tokens by `openssl ts`, and what somebody may make of them."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from launcher.canonical import canonical_bytes
from launcher.digest import sha256_hex
from launcher.errors import CheckFailedError, MalformedError, TrustError
from launcher.spec.bundle import LOCK_ATTESTATION
from launcher.trust.admission import admit_lock
from launcher.trust.policy import Policy, single_key_policy
from launcher.trust.policy_file import read_policy
from launcher.trust.sigstore import open_envelope, seal, seal_payload
from launcher.trust.timestamps import Authority, StampedSigner, check_timestamp, read_certificates
from tests.signing.authorities import TestAuthority, certified, make_authority
from tests.trust.sealed_bundle import ALICE, BOB, LOCK_DIGEST, NOW, checked, failures, sealed

SIGNATURE = b"the bytes of a signature"
SEALED = sealed()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def token(authority: TestAuthority) -> bytes:
    return authority.stamp(SIGNATURE)


@pytest.fixture(scope="module")
def own(authority: TestAuthority) -> dict[str, Authority]:
    return {"own": Authority("own", read_certificates(authority.root))}


def status(token: bytes, authorities: dict[str, Authority], signature: bytes = SIGNATURE) -> tuple[str, str]:
    check, time = check_timestamp("timestamp:x", token, signature, authorities)
    assert (time is not None) == (check.status == "ok")
    return check.status, check.detail


def test_a_token_by_a_pinned_authority_proves_its_time(token: bytes, own: dict[str, Authority]) -> None:
    check, time = check_timestamp("timestamp:x", token, SIGNATURE, own)
    assert check.status == "ok"
    assert check.detail.endswith("says `own`")
    assert time is not None
    assert abs(datetime.now(UTC) - time) < timedelta(minutes=10)


def test_a_token_without_a_certificate_needs_the_signers_pinned(
    authority: TestAuthority, own: dict[str, Authority]
) -> None:
    bare = authority.stamp(SIGNATURE, "-sha256")
    assert status(bare, own)[0] == "failed"
    signer = (authority.folder / "signer.pem").read_text()
    whole = {"own": Authority("own", read_certificates(authority.root + signer))}
    assert status(bare, whole)[0] == "ok"
    assert status(authority.stamp(SIGNATURE), whole)[0] == "ok"


def test_a_token_over_something_else_is_failed(token: bytes, own: dict[str, Authority]) -> None:
    for authorities in (own, {}):
        assert status(token, authorities, b"another signature") == (
            "failed",
            "the timestamp is of another signature",
        )


def test_a_token_of_another_digest_is_failed(authority: TestAuthority, own: dict[str, Authority]) -> None:
    configuration = authority.folder / "tsa.cnf"
    configuration.write_text(
        configuration.read_text().replace("digests = sha256", "digests = sha256, sha512")
    )
    assert "SHA-256" in status(authority.stamp(SIGNATURE, "-sha512", "-cert"), own)[1]


def test_a_refusal_is_no_timestamp(authority: TestAuthority, own: dict[str, Authority]) -> None:
    refusal = authority.stamp(SIGNATURE, "-sha384", "-cert")
    state, detail = status(refusal, own)
    assert state == "failed"
    assert "refused" in detail


def test_without_a_pinned_authority_it_is_not_checked(token: bytes, tmp_path: Path) -> None:
    state, detail = status(token, {})
    assert state == "skipped"
    assert "names no authority" in detail
    other = make_authority(tmp_path, "Other")
    state, detail = status(token, {"other": Authority("other", read_certificates(other.root))})
    assert state == "skipped"
    assert "does not name" in detail


def test_a_token_by_an_authority_of_the_same_name_is_failed(
    own: dict[str, Authority], tmp_path: Path
) -> None:
    assert status(make_authority(tmp_path).stamp(SIGNATURE), own)[0] == "failed"


def test_the_authority_that_signed_is_found_among_several(
    token: bytes, own: dict[str, Authority], tmp_path: Path
) -> None:
    namesake = Authority("a", read_certificates(make_authority(tmp_path).root))
    assert status(token, {"a": namesake, **own})[1].endswith("says `own`")


def test_an_authority_counts_in_its_time_alone(token: bytes, own: dict[str, Authority]) -> None:
    now = datetime.now(UTC)
    for change in ({"valid_from": now + timedelta(hours=1)}, {"valid_until": now - timedelta(hours=1)}):
        state, detail = status(token, {"own": replace(own["own"], **change)})  # type: ignore[arg-type]
        assert state == "failed"
        assert "`own`" in detail
    around = replace(own["own"], valid_from=now - timedelta(hours=1), valid_until=now + timedelta(hours=1))
    assert status(token, {"own": around})[0] == "ok"


STAMPING = x509.ExtendedKeyUsageOID.TIME_STAMPING


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"purpose": STAMPING}, "ok"),
        ({"purpose": STAMPING, "critical": False}, "failed"),
        ({"purpose": x509.ExtendedKeyUsageOID.SERVER_AUTH}, "failed"),
        ({}, "failed"),
        ({"purpose": STAMPING, "end": datetime.now(UTC) - timedelta(days=1)}, "failed"),
    ],
    ids=["as it should be", "not critical", "a web server's", "no purpose", "run out"],
)
def test_the_signers_certificate_must_be_one_for_timestamps(
    authority: TestAuthority, token: bytes, own: dict[str, Authority], change: dict[str, Any], state: str
) -> None:
    real = x509.load_pem_x509_certificate((authority.folder / "signer.pem").read_bytes())
    der = real.public_bytes(Encoding.DER)
    assert token.count(der) == 1
    if "end" in change:
        change = {**change, "begin": datetime.now(UTC) - timedelta(days=9)}
    forged = token.replace(der, certified(authority, len(der), **change))
    assert status(forged, own)[0] == state


def test_a_certificate_that_only_the_token_brings_is_no_root(
    authority: TestAuthority, own: dict[str, Authority], tmp_path: Path
) -> None:
    mine = make_authority(tmp_path)
    root = (tmp_path / "root.pem").read_text()
    (tmp_path / "both.pem").write_text(root)
    configuration = tmp_path / "tsa.cnf"
    configuration.write_text(configuration.read_text() + "certs = both.pem\n")
    assert status(mine.stamp(SIGNATURE), own)[0] == "failed"


def test_a_changed_token_never_proves_another_time(token: bytes, own: dict[str, Authority]) -> None:
    time = check_timestamp("timestamp:x", token, SIGNATURE, own)[1]

    @settings(max_examples=400, deadline=None)
    @given(st.integers(0, len(token) - 1), st.binary(max_size=4), st.integers(0, 4))
    def change(place: int, put: bytes, taken: int) -> None:
        changed = token[:place] + put + token[place + taken :]
        _, proven = check_timestamp("timestamp:x", changed, SIGNATURE, own)
        assert proven in (None, time)

    change()


def test_whatever_bytes_stand_for_a_token_they_are_failed(own: dict[str, Authority]) -> None:
    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=200))
    def read(data: bytes) -> None:
        for authorities in ({}, own):
            assert status(data, authorities)[0] == "failed"

    read()


def test_without_the_extra_it_is_not_checked(
    token: bytes, own: dict[str, Authority], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    state, detail = status(token, own)
    assert state == "skipped"
    assert "extra `timestamps`" in detail


# In an attestation.
STATEMENT = {"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicate": {"n": "1"}}


def stamped(token: bytes | None) -> bytes:
    return seal(STATEMENT, StampedSigner(ALICE, lambda _: token))


def test_a_timestamp_is_kept_beside_the_signature() -> None:
    envelope = open_envelope(stamped(b"token"))
    assert envelope.timestamp == b"token"
    material = json.loads(stamped(b"token"))["verificationMaterial"]
    assert material == {
        "publicKey": {"hint": ALICE.public.fingerprint},
        "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": "dG9rZW4="}]},
    }
    assert stamped(None) == seal(STATEMENT, ALICE)
    assert open_envelope(stamped(None)).timestamp is None


def data_of(material: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = material["timestampVerificationData"]
    return found


MATERIALS = {
    "two": lambda m: data_of(m)["rfc3161Timestamps"].append({"signedTimestamp": "AA=="}),
    "none": lambda m: data_of(m).update(rfc3161Timestamps=[]),
    "no list": lambda m: m.update(timestampVerificationData={}),
    "null": lambda m: m.update(timestampVerificationData=None),
    "an object": lambda m: data_of(m).update(rfc3161Timestamps={}),
    "an empty one": lambda m: data_of(m)["rfc3161Timestamps"][0].update(signedTimestamp=""),
    "a number": lambda m: data_of(m)["rfc3161Timestamps"][0].update(signedTimestamp=1),
    "no base64": lambda m: data_of(m)["rfc3161Timestamps"][0].update(signedTimestamp="*"),
    "loose bits": lambda m: data_of(m)["rfc3161Timestamps"][0].update(signedTimestamp="YR=="),
    "too long": lambda m: data_of(m)["rfc3161Timestamps"][0].update(signedTimestamp="AAAA" * 6000),
    "a field more": lambda m: data_of(m)["rfc3161Timestamps"][0].update(x=1),
    "data more": lambda m: data_of(m).update(x=[]),
    "a log entry": lambda m: m.update(tlogEntries=[]),
    "no key": lambda m: m.pop("publicKey"),
}


@pytest.mark.parametrize("change", MATERIALS.values(), ids=MATERIALS)
def test_a_timestamp_in_another_shape_is_refused(change: Any) -> None:
    value = json.loads(stamped(b"token"))
    change(value["verificationMaterial"])
    with pytest.raises(CheckFailedError):
        open_envelope(canonical_bytes(value) + b"\n")


def with_authority(own: dict[str, Authority]) -> Policy:
    return replace(single_key_policy(ALICE.public, "alice"), authorities=own)


def restamped(path: str, signer: Any, stamp: Any) -> dict[str, bytes]:
    payload = open_envelope(SEALED[path]).payload
    return {**SEALED, path: seal_payload(payload, StampedSigner(signer, stamp))}


def test_a_bundles_timestamps_are_checked_and_said(
    authority: TestAuthority, own: dict[str, Authority]
) -> None:
    files = restamped(LOCK_ATTESTATION, ALICE, authority.stamp)
    report = checked(files, with_authority(own))
    assert report.verdict == "verified", failures(report)
    said = {check.name: check for check in report.checks}
    assert said["timestamp:lock"].status == "ok"
    assert said["timestamps"].detail.startswith("none of provenance, result:")
    assert {check.name: check for check in checked(SEALED).checks}["timestamps"].detail.startswith("none:")
    report = checked(files)
    assert report.verdict == "verified"
    assert {check.name: check.status for check in report.checks}["timestamp:lock"] == "skipped"


def test_a_bundle_with_anothers_timestamp_is_failed(
    authority: TestAuthority, own: dict[str, Authority]
) -> None:
    for token in (authority.stamp(b"something else"), b"no token"):
        files = restamped(LOCK_ATTESTATION, ALICE, lambda _, token=token: token)
        for policy in (with_authority(own), None):
            assert checked(files, policy).verdict == "failed"


def test_a_timestamp_of_a_stranger_is_not_read(own: dict[str, Authority]) -> None:
    files = restamped(LOCK_ATTESTATION, BOB, lambda _: b"no token")
    assert checked(files, with_authority(own)).verdict == "untrusted"


@pytest.mark.parametrize("revoked", ["after", "before"])
def test_a_superseded_key_counts_for_what_was_stamped_before(
    authority: TestAuthority, own: dict[str, Authority], revoked: str
) -> None:
    now = datetime.now(UTC)
    moment = now + timedelta(hours=1) if revoked == "after" else now - timedelta(hours=1)
    policy = with_authority(own)
    key = replace(policy.keys["alice"], revoked_from=moment, reason="superseded")
    policy = replace(policy, keys={"alice": key})
    files = dict(SEALED)
    for path in [name for name in SEALED if name.startswith("attestations/")]:
        files.update({path: restamped(path, ALICE, authority.stamp)[path]})
    later = now + timedelta(days=30)
    assert checked(files, policy, later).verdict == ("verified" if revoked == "after" else "untrusted")
    assert checked(SEALED, policy, later).verdict == "untrusted"
    assert checked(files, replace(policy, authorities={}), later).verdict == "untrusted"


def test_a_lock_that_a_superseded_key_signed_before_may_be_launched(
    authority: TestAuthority, own: dict[str, Authority]
) -> None:
    now = datetime.now(UTC)
    policy = with_authority(own)
    key = replace(policy.keys["alice"], revoked_from=now + timedelta(hours=1), reason="superseded")
    policy = replace(policy, keys={"alice": key})
    lock = (sha256_hex(SEALED["lock.json"]), LOCK_DIGEST)
    later = now + timedelta(days=1)
    with pytest.raises(TrustError, match="not one that this machine trusts"):
        admit_lock(lock, SEALED[LOCK_ATTESTATION], policy, later)
    admit_lock(lock, restamped(LOCK_ATTESTATION, ALICE, authority.stamp)[LOCK_ATTESTATION], policy, later)
    forged = restamped(LOCK_ATTESTATION, ALICE, lambda _: authority.stamp(b"other"))[LOCK_ATTESTATION]
    with pytest.raises(CheckFailedError, match="does not hold"):
        admit_lock(lock, forged, policy, later)


# In a trust policy.
POLICY = f"""version = 1
expires = 2036-01-01T00:00:00Z
[keys.alice]
public = "{ALICE.public.openssh}"
roles = ["lock"]
[rules.lock]
threshold = 1
from = ["alice"]
"""


def test_a_policy_names_authorities(authority: TestAuthority) -> None:
    text = POLICY + authority.table("tsa-1", "valid-from = 2026-01-01T00:00:00Z")
    policy = read_policy(text.encode())
    found = policy.authorities["tsa-1"]
    assert found.certificates == read_certificates(authority.root)
    assert found.valid_from == datetime(2026, 1, 1, tzinfo=UTC)
    assert read_policy(POLICY.encode()).authorities == {}
    assert policy.expires > NOW


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("certificate =", "certificat ="),
        lambda text: text.replace("BEGIN CERTIFICATE", "BEGIN CERTIFICAT"),
        lambda text: text.replace("-----END CERTIFICATE-----", "-----END CERTIFICATE-----\nmore"),
        lambda text: text.replace("MII", "MIJ", 1),
        lambda text: text + "valid-from = 2026-01-01\n",
        lambda text: text + "valid-from = 2027-01-01T00:00:00Z\nvalid-until = 2026-01-01T00:00:00Z\n",
        lambda text: text.replace("timestamps.own", "timestamps.'o w n'"),
        lambda text: '\n[timestamps.own]\ncertificate = ""\n',
        lambda text: "\n[timestamps]\nown = 1\n",
    ],
)
def test_an_authority_that_is_not_understood_is_refused(authority: TestAuthority, change: Any) -> None:
    with pytest.raises(MalformedError, match="malformed"):
        read_policy((POLICY + change(authority.table())).encode())


def test_an_authority_without_a_root_is_refused(authority: TestAuthority) -> None:
    with pytest.raises(MalformedError, match="root"):
        read_certificates((authority.folder / "signer.pem").read_text())
