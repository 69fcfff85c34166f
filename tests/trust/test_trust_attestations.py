import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from launcher.digest import digest_of, sha256_hex
from launcher.spec.bundle import (
    LOCK_ATTESTATION,
    PROVENANCE_ATTESTATION,
    RESULT_ATTESTATION,
    SUMS,
    co_signature,
    reproduction_attestation,
)
from launcher.spec.predicates import LOCK_TYPE, PROVENANCE_TYPE, LockStatement, Suite
from launcher.spec.reproduction import MetricReproduction
from launcher.spec.roles import EVIDENCE_ROLES
from launcher.spec.statement import (
    Statement,
    bundle_subjects,
    lock_statement,
    reproduction_statement,
)
from launcher.trust.checks import Check
from launcher.trust.key_files import FileSigner
from launcher.trust.policy import Policy, Rule, TrustedKey, single_key_policy
from launcher.trust.sigstore import open_envelope, seal, seal_payload
from tests.trust.sealed_bundle import (
    ALICE,
    BOB,
    BUILDER,
    CLAIM,
    CONTENTS,
    LOCK_DIGEST,
    MALLORY,
    NOW,
    PROVENANCE,
    RESULT,
    SUITE,
    Seal,
    checked,
    failures,
    p256_signer,
    reproduction_of,
    sealed,
    signed_by,
)

CAROL = p256_signer(9)
SEALED = sealed()
PATHS = sorted(SEALED)


def two_keys(threshold: int = 1, **others: FileSigner) -> Policy:
    keys = {
        name: TrustedKey(name, signer.public, frozenset(EVIDENCE_ROLES))
        for name, signer in {"alice": ALICE, "bob": BOB, **others}.items()
    }
    rules = dict.fromkeys(EVIDENCE_ROLES, Rule(threshold, frozenset(keys)))
    return Policy(1, NOW + timedelta(days=1), keys, rules)


def test_a_sealed_bundle_is_verified() -> None:
    report = checked(SEALED)
    assert (report.verdict, failures(report)) == ("verified", "")
    assert report.signers == (ALICE.public.fingerprint,)
    assert report.invocation_id == "attempt-1"
    assert (report.provenance, report.result) == (PROVENANCE, RESULT)
    assert report.lock == LockStatement(LOCK_DIGEST, SUITE)
    assert report.unknown == ()
    assert report.hint is None


def test_a_p256_bundle_is_verified() -> None:
    signer = p256_signer(7)
    assert checked(signed_by(signer), single_key_policy(signer.public)).verdict == "verified"


@settings(max_examples=3000, deadline=None)
@given(st.sampled_from(PATHS), st.integers(0, 1 << 20), st.integers(1, 255))
def test_a_bundle_with_any_one_byte_changed_is_failed(path: str, number: int, mask: int) -> None:
    data = bytearray(SEALED[path])
    place = number % len(data)
    data[place] ^= mask
    report = checked({**SEALED, path: bytes(data)})
    assert report.verdict == "failed", (path, place, mask)


@pytest.mark.parametrize("path", PATHS)
def test_a_file_cut_short_or_with_a_byte_more_is_failed(path: str) -> None:
    for data in (SEALED[path][:-1], SEALED[path] + b"\n", b""):
        assert checked({**SEALED, path: data}).verdict == "failed"


@pytest.mark.parametrize("path", PATHS)
def test_a_missing_file_is_failed_and_named(path: str) -> None:
    report = checked({name: data for name, data in SEALED.items() if name != path})
    assert report.verdict == "failed"
    assert path in failures(report)


@pytest.mark.parametrize(
    "path",
    [
        "logs/more.txt",
        "extra.txt",
        "attestations/extra.json",
        "attestations/launch.sigstore.json",
        "../x",
        "logs/\n",
    ],
)
def test_an_extra_file_is_failed(path: str) -> None:
    assert checked({**SEALED, path: b"x"}).verdict == "failed"


def test_a_bundle_by_an_unknown_key_is_untrusted_and_its_fingerprint_named() -> None:
    report = checked(signed_by(MALLORY))
    assert report.verdict == "untrusted"
    assert report.unknown == (MALLORY.public.fingerprint,)
    assert report.hint is not None
    assert MALLORY.public.fingerprint in report.hint
    assert report.provenance is None


def test_a_tampered_bundle_by_an_unknown_key_is_failed() -> None:
    assert checked({**signed_by(MALLORY), "result.json": b"{}"}).verdict == "failed"


def test_a_lock_by_an_unknown_key_is_untrusted() -> None:
    report = checked(sealed(Seal(lock_signer=MALLORY)))
    assert report.verdict == "untrusted"
    assert report.unknown == (MALLORY.public.fingerprint,)
    assert report.provenance == PROVENANCE


def test_a_lock_signed_by_another_trusted_key_is_verified() -> None:
    report = checked(sealed(Seal(lock_signer=BOB)), two_keys())
    assert report.verdict == "verified"
    assert Check("trust:lock", "ok", "signed by bob") in report.checks


LIES = {
    "result by another key": Seal(result_signer=BOB),
    "other invocation": Seal(result=replace(RESULT, invocation_id="attempt-2")),
    "other lock in result": Seal(result=replace(RESULT, lock=digest_of(b"x"))),
    "other lock in lock statement": Seal(lock=LockStatement(digest_of(b"x"), SUITE)),
    "other blueprint": Seal(lock=LockStatement(LOCK_DIGEST, Suite("acme/digits", "1.0.1"))),
    "other builder": Seal(result=replace(RESULT, verifier=replace(BUILDER, id="https://example.org/b"))),
    "finished before it started": Seal(provenance=replace(PROVENANCE, finished_on="2026-11-20T10:00:00Z")),
    "a day that does not exist": Seal(result=replace(RESULT, evaluated_at="2026-02-30T10:00:00Z")),
    "a number that is none": Seal(result=replace(RESULT, claims=(replace(CLAIM, value="NaN"),))),
    "a threshold without a comparator": Seal(
        result=replace(RESULT, claims=(replace(CLAIM, comparator=None),))
    ),
    "succeeded with a failure": Seal(result=replace(RESULT, failure="timeout")),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_lie_signed_with_trusted_keys_is_failed(lie: Seal) -> None:
    report = checked(sealed(lie), two_keys())
    assert report.verdict == "failed"
    assert failures(report).startswith("agreement: ")


def _resealed(path: str, change: Callable[[dict[str, object]], None]) -> dict[str, bytes]:
    statement = json.loads(open_envelope(SEALED[path]).payload)
    change(statement)
    return {**SEALED, path: seal(statement, ALICE)}


CONFUSIONS = {
    "no subject": lambda statement: statement.update(subject=[]),
    "a subject left out": lambda statement: statement["subject"].pop(0),
    "a subject twice": lambda statement: statement["subject"].append(statement["subject"][-1]),
    "subjects unsorted": lambda statement: statement["subject"].reverse(),
    "a subject too many": lambda statement: statement["subject"].append(
        {"name": "z", "digest": {"sha256": "0" * 64}}
    ),
    "a second digest": lambda statement: statement["subject"][0]["digest"].update(md5="0" * 32),
    "an upper-case digest": lambda statement: statement["subject"][0]["digest"].update(sha256="A" * 64),
    "another statement type": lambda statement: statement.update(_type="https://in-toto.io/Statement/v0.1"),
    "another predicate type": lambda statement: statement.update(predicateType=LOCK_TYPE),
    "an unknown field": lambda statement: statement.update(note="x"),
    "an unknown parameter": lambda statement: statement["predicate"]["buildDefinition"][
        "externalParameters"
    ].update(note="x"),
    "another build type": lambda statement: statement["predicate"]["buildDefinition"].update(buildType="x"),
    "a predicate that is a list": lambda statement: statement.update(predicate=[]),
}


@pytest.mark.parametrize("change", CONFUSIONS.values(), ids=CONFUSIONS.keys())
def test_a_confused_statement_signed_with_a_trusted_key_is_failed(
    change: Callable[[dict[str, object]], None],
) -> None:
    assert checked(_resealed(PROVENANCE_ATTESTATION, change)).verdict == "failed"


@pytest.mark.parametrize("left", [PROVENANCE_ATTESTATION, RESULT_ATTESTATION])
@pytest.mark.parametrize("right", [RESULT_ATTESTATION, LOCK_ATTESTATION])
def test_attestations_swapped_within_a_bundle_are_failed(left: str, right: str) -> None:
    swapped = {**SEALED, left: SEALED[right], right: SEALED[left]}
    assert checked(swapped).verdict == ("verified" if left == right else "failed")


@pytest.mark.parametrize("path", [PROVENANCE_ATTESTATION, RESULT_ATTESTATION, LOCK_ATTESTATION])
def test_an_attestation_taken_from_another_bundle_is_failed(path: str) -> None:
    other = sealed(contents={**CONTENTS, "lock.json": b"another"})
    assert checked({**SEALED, path: other[path]}).verdict == "failed"


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=30, deadline=None)
@given(data=st.binary(max_size=300))
def test_whatever_a_file_holds_is_a_report_and_no_exception(path: str, data: bytes) -> None:
    assume(data != SEALED[path])
    assert checked({**SEALED, path: data}).verdict == "failed"


def test_above_a_thousand_files_the_sums_stand_for_all() -> None:
    many = {**CONTENTS, **{f"artifacts/{number}": b"" for number in range(1000)}}
    files = sealed(contents=many)
    digests = {path: sha256_hex(data) for path, data in files.items() if "attestations/" not in path}
    assert bundle_subjects(digests) == ((SUMS, sha256_hex(files[SUMS])),)
    assert checked(files).verdict == "verified"
    assert checked({**files, "artifacts/7": b"x"}).verdict == "failed"
    assert checked({**files, "artifacts/x": b""}).verdict == "failed"


def with_reproduction(signer: object = BOB, **changes: object) -> dict[str, bytes]:
    reproduction = reproduction_of(SEALED, **changes)
    statement = reproduction_statement(reproduction)
    return {**SEALED, reproduction_attestation("sha256:" + "55" * 32): seal(statement, signer)}  # type: ignore[arg-type]


def figure(**changes: str) -> MetricReproduction:
    same = MetricReproduction("accuracy", "0.968854282536", "0.968854282536", "identical")
    return replace(same, **changes)


def test_a_reproduction_by_another_trusted_key_counts() -> None:
    report = checked(with_reproduction(), two_keys())
    assert (report.verdict, failures(report)) == ("verified", "")
    (reproduction,) = report.reproductions
    assert reproduction.independent
    assert reproduction.signer == BOB.public.fingerprint
    assert reproduction.statement == reproduction_of(SEALED)


def test_a_reproduction_by_the_same_key_is_not_independent() -> None:
    (reproduction,) = checked(with_reproduction(ALICE), two_keys()).reproductions
    assert not reproduction.independent


def reproduction_co_signed(files: dict[str, bytes], signer: FileSigner) -> dict[str, bytes]:
    path = reproduction_attestation("sha256:" + "55" * 32)
    data = seal_payload(open_envelope(files[path]).payload, signer)
    return {**files, co_signature(path, signer.public.key_hex): data}


@pytest.mark.parametrize("lender", [ALICE, CAROL])
def test_a_co_signature_lends_nothing_to_a_reproduction_by_a_key_that_does_not_count(
    lender: FileSigner,
) -> None:
    policy = two_keys(carol=CAROL)
    bob = replace(policy.keys["bob"], revoked_from=NOW, reason="key-compromise")
    revoked = replace(policy, keys={**policy.keys, "bob": bob})
    assert checked(with_reproduction(), revoked).reproductions == ()
    report = checked(reproduction_co_signed(with_reproduction(), lender), revoked)
    assert (report.verdict, report.reproductions) == ("verified", ())
    assert any(
        check.status == "skipped" and "`bob` is revoked: key-compromise; whoever co-signed" in check.detail
        for check in report.checks
    )


def test_the_maker_s_own_reproduction_stays_its_own_whoever_co_signs_it() -> None:
    report = checked(reproduction_co_signed(with_reproduction(ALICE), BOB), two_keys())
    (reproduction,) = report.reproductions
    assert (report.verdict, reproduction.signer) == ("verified", ALICE.public.fingerprint)
    assert not reproduction.independent


def test_a_co_signer_of_what_a_stranger_made_is_not_independent_of_it() -> None:
    files = with_reproduction()
    for path in ALL_THREE:
        payload = open_envelope(files[path]).payload
        files[co_signature(path, BOB.public.key_hex)] = seal_payload(payload, BOB)
    (reproduction,) = checked(files, two_keys()).reproductions
    assert reproduction.independent
    (reproduction,) = checked(files, single_key_policy(BOB.public)).reproductions
    assert not reproduction.independent


def test_a_reproduction_that_was_copied_under_other_names_counts_once() -> None:
    files = with_reproduction()
    copies = {
        f"attestations/reproduction-{name}.sigstore.json": data
        for name in "abc"
        for data in [files[reproduction_attestation("sha256:" + "55" * 32)]]
    }
    report = checked({**files, **copies}, two_keys())
    assert (report.verdict, len(report.reproductions)) == ("verified", 1)


def test_a_reproduction_by_an_unknown_key_is_skipped_and_never_counted() -> None:
    report = checked(with_reproduction(MALLORY), two_keys())
    assert (report.verdict, report.reproductions) == ("verified", ())
    assert any(check.status == "skipped" and "not counted" in check.detail for check in report.checks)


def test_a_reproduction_by_a_key_without_that_role_is_skipped() -> None:
    policy = two_keys()
    bob = replace(policy.keys["bob"], roles=frozenset(["lock"]))
    report = checked(with_reproduction(), replace(policy, keys={**policy.keys, "bob": bob}))
    assert (report.verdict, report.reproductions) == ("verified", ())


@pytest.mark.parametrize(
    "changes",
    [
        {"original": digest_of(b"other")},
        {"reproduced": "sha256:" + sha256_hex(SEALED[SUMS])},
        {"lock": digest_of(b"other")},
        {"samples": ("1", "2")},
        {"verdict": "perfect"},
        {"verdict": "equivalent", "metrics": (figure(verdict="diverged"),)},
        {"metrics": (figure(reproduced="0.9"),)},
        {"metrics": (figure(original="0.9", reproduced="0.9"),)},
        {"metrics": (figure(name="f1"),)},
        {"samples": ("899", "898")},
    ],
)
def test_a_reproduction_that_does_not_fit_is_failed(changes: dict[str, object]) -> None:
    assert checked(with_reproduction(**changes), two_keys()).verdict == "failed"


def test_a_reproduction_that_is_another_statement_is_failed() -> None:
    path = reproduction_attestation("sha256:" + "55" * 32)
    for other in (RESULT_ATTESTATION, LOCK_ATTESTATION):
        assert checked({**SEALED, path: SEALED[other]}).verdict == "failed"


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 20), st.integers(1, 255))
def test_a_changed_byte_in_a_trusted_reproduction_is_failed(number: int, mask: int) -> None:
    files = with_reproduction()
    path = next(path for path in files if "reproduction" in path)
    data = bytearray(files[path])
    data[number % len(data)] ^= mask
    assert checked({**files, path: bytes(data)}, two_keys()).verdict == "failed"


def co_signed(*paths: str, signer: object = BOB) -> dict[str, bytes]:
    files = dict(SEALED)
    for path in paths:
        payload = open_envelope(SEALED[path]).payload
        key_hex = signer.public.key_hex  # type: ignore[attr-defined]
        files[co_signature(path, key_hex)] = seal_payload(payload, signer)  # type: ignore[arg-type]
    return files


ALL_THREE = (PROVENANCE_ATTESTATION, RESULT_ATTESTATION, LOCK_ATTESTATION)


def test_a_threshold_of_two_needs_two_principals_on_each_statement() -> None:
    assert checked(SEALED, two_keys(2)).verdict == "untrusted"
    assert checked(co_signed(*ALL_THREE[:2]), two_keys(2)).verdict == "untrusted"
    report = checked(co_signed(*ALL_THREE), two_keys(2))
    assert (report.verdict, failures(report)) == ("verified", "")
    assert set(report.signers) == {ALICE.public.fingerprint, BOB.public.fingerprint}


def test_one_key_that_signs_twice_is_one_principal() -> None:
    assert checked(co_signed(*ALL_THREE, signer=ALICE), two_keys(2)).verdict == "untrusted"


def test_what_a_known_key_co_signed_is_read_though_its_maker_is_unknown() -> None:
    bob = single_key_policy(BOB.public, "bob")
    report = checked(co_signed(*ALL_THREE), bob)
    assert (report.verdict, report.provenance, report.result) == ("verified", PROVENANCE, RESULT)
    assert report.unknown == (ALICE.public.fingerprint,)
    for path in ALL_THREE:
        report = checked(co_signed(*(other for other in ALL_THREE if other != path)), bob)
        assert report.verdict == "untrusted"


def test_a_co_signature_by_an_unknown_key_is_skipped() -> None:
    assert checked(co_signed(*ALL_THREE, signer=MALLORY), two_keys()).verdict == "verified"
    assert checked(co_signed(*ALL_THREE, signer=MALLORY), two_keys(2)).verdict == "untrusted"


def test_a_co_signature_over_another_payload_is_failed() -> None:
    path = co_signature(RESULT_ATTESTATION, BOB.public.key_hex)
    payload = open_envelope(SEALED[PROVENANCE_ATTESTATION]).payload
    assert checked({**SEALED, path: seal_payload(payload, BOB)}, two_keys()).verdict == "failed"


def test_a_co_signature_under_another_keys_name_is_failed() -> None:
    payload = open_envelope(SEALED[RESULT_ATTESTATION]).payload
    path = co_signature(RESULT_ATTESTATION, MALLORY.public.key_hex)
    assert checked({**SEALED, path: seal_payload(payload, BOB)}, two_keys()).verdict == "failed"


def test_a_co_signature_of_what_is_not_there_is_failed() -> None:
    path = f"attestations/reproduction-x.{BOB.public.key_hex}.sigstore.json"
    payload = open_envelope(SEALED[RESULT_ATTESTATION]).payload
    assert checked({**SEALED, path: seal_payload(payload, BOB)}, two_keys()).verdict == "failed"


def test_more_attestations_than_anybody_needs_are_refused() -> None:
    many = {f"attestations/reproduction-{number}.sigstore.json": b"" for number in range(100)}
    assert "more than" in failures(checked({**SEALED, **many}))


def test_a_statement_about_another_lock_file_is_failed() -> None:
    statement = lock_statement("0" * 64, LockStatement(LOCK_DIGEST, SUITE))
    assert checked({**SEALED, LOCK_ATTESTATION: seal(statement, ALICE)}).verdict == "failed"


def test_a_statement_with_the_right_files_under_a_wrong_type_is_failed() -> None:
    digests = {path: sha256_hex(data) for path, data in SEALED.items() if "attestations/" not in path}
    statement = Statement(bundle_subjects(digests), PROVENANCE_TYPE, RESULT.as_json()).as_json()
    for path in (PROVENANCE_ATTESTATION, RESULT_ATTESTATION):
        assert checked({**SEALED, path: seal(statement, ALICE)}).verdict == "failed"
