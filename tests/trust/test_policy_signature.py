"""Signed policies: whose signatures they need, and which one may take another's place."""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from launcher.canonical import canonical_bytes
from launcher.errors import TrustError
from launcher.spec.statement import Statement
from launcher.trust.dsse import verify_envelope
from launcher.trust.key_files import FileSigner
from launcher.trust.policy import Claim
from launcher.trust.policy_file import read_policy
from launcher.trust.policy_signature import (
    POLICY_SUBJECT,
    POLICY_TYPE,
    OfferedPolicy,
    lacking,
    refuse_policy,
    root_signers,
)
from launcher.trust.sigstore import open_envelope, seal, seal_payload
from tests.trust.sealed_bundle import ALICE, BOB, MALLORY, NOW, ed25519_signer, p256_signer

CAROL, DAN = p256_signer(7), ed25519_signer(8)
NAMES = {"alice": ALICE, "bob": BOB, "carol": CAROL, "dan": DAN}


def text(version: int, root: Sequence[str], threshold: int = 1, *, lines: str = "") -> bytes:
    """Return a policy whose root is these keys; without any it is not signed."""
    tables = [f"version = {version}", "expires = 2027-06-01T00:00:00Z"]
    for name, signer in NAMES.items():
        tables += [f"[keys.{name}]", f'public = "{signer.public.openssh}"', 'roles = ["result", "root"]']
        tables += [lines] if name == "alice" else []
    if root:
        tables += ["[rules.root]", f"threshold = {threshold}", f"from = {list(root)}"]
    return "\n".join(tables).encode()


def offered(data: bytes, signers: Iterable[FileSigner] = ()) -> OfferedPolicy:
    bare = OfferedPolicy(data, read_policy(data))
    return replace(
        bare, envelopes=tuple(open_envelope(seal_payload(bare.payload, signer)) for signer in signers)
    )


def code(policy: OfferedPolicy, seen: OfferedPolicy | None = None) -> str | None:
    try:
        refuse_policy(policy, seen, NOW)
    except TrustError as error:
        return error.code
    return None


def test_what_a_root_key_signs_is_a_statement_about_the_file() -> None:
    policy = offered(text(7, ["alice"]), [ALICE])
    statement = Statement.from_json(verify_envelope(policy.envelopes[0], ALICE.public))
    assert statement.predicate_type == POLICY_TYPE == "https://w3id.org/evalctl-launcher/trust-policy/v1"
    assert statement.subjects == ((POLICY_SUBJECT, policy.digest.removeprefix("sha256:")),)
    assert statement.predicate == {"version": "7"}


def test_the_documented_example_is_what_is_signed() -> None:
    text_of_page = (Path(__file__).parents[2] / "docs" / "predicates" / "trust-policy.md").read_text()
    example = json.loads(text_of_page.partition("```json\n")[2].partition("```")[0])
    policy = offered(text(7, ["alice"]))
    example["subject"][0]["digest"]["sha256"] = policy.digest.removeprefix("sha256:")
    assert canonical_bytes(example) == policy.payload


def test_a_policy_without_a_root_counts_unsigned_and_one_with_a_root_does_not() -> None:
    assert code(offered(text(1, []))) is None
    assert code(offered(text(1, ["alice"]))) == "policy-not-signed"
    assert code(offered(text(1, ["alice"]), [ALICE])) is None


def test_a_threshold_of_distinct_root_keys_must_sign() -> None:
    data = text(1, ["alice", "bob", "carol"], 2)
    assert code(offered(data, [ALICE])) == "policy-not-signed"
    assert code(offered(data, [ALICE, ALICE])) == "policy-not-signed"
    assert code(offered(data, [CAROL, CAROL])) == "policy-not-signed"
    assert code(offered(data, [ALICE, MALLORY, DAN])) == "policy-not-signed"
    assert code(offered(data, [CAROL, BOB])) is None
    assert "alice, bob did not sign" in lacking(offered(data, [CAROL]), None, NOW)[0]


def test_a_signature_over_other_bytes_of_the_same_version_does_not_count() -> None:
    data = text(1, ["alice"])
    elsewhere = offered(data + b"# a remark\n", [ALICE])
    assert code(replace(offered(data), envelopes=elsewhere.envelopes)) == "policy-not-signed"


def test_a_signature_of_another_kind_about_the_same_bytes_does_not_count() -> None:
    policy = offered(text(1, ["alice"]))
    statement = Statement(
        ((POLICY_SUBJECT, policy.digest.removeprefix("sha256:")),), "https://example.org/x", {}
    )
    assert (
        code(replace(policy, envelopes=(open_envelope(seal(statement.as_json(), ALICE)),)))
        == "policy-not-signed"
    )


def test_a_forged_signature_does_not_count() -> None:
    policy = offered(text(1, ["alice"]), [ALICE])
    forged = replace(policy.envelopes[0], signature=bytes(64))
    assert code(replace(policy, envelopes=(forged,))) == "policy-not-signed"
    stranger = offered(policy.data, [MALLORY]).envelopes[0]
    assert code(replace(policy, envelopes=(replace(stranger, keyid=ALICE.public.fingerprint),))) is not None


@pytest.mark.parametrize(
    "lines",
    [
        'revoked-from = 2027-01-01T00:00:00Z\nreason = "key-compromise"',
        'revoked-from = 2026-11-01T00:00:00Z\nreason = "superseded"',
        "valid-until = 2026-11-01T00:00:00Z",
        "valid-from = 2026-12-01T00:00:00Z",
    ],
)
def test_a_root_key_that_does_not_count_signs_no_policy(lines: str) -> None:
    assert code(offered(text(1, ["alice"], lines=lines), [ALICE])) == "policy-not-signed"


def test_a_root_key_without_the_role_signs_no_policy() -> None:
    data = text(1, ["alice"]).replace(b'roles = ["result", "root"]', b'roles = ["result"]', 1)
    assert code(offered(data, [ALICE])) == "policy-not-signed"


def test_the_next_version_is_signed_by_the_roots_of_both() -> None:
    seen = offered(text(1, ["alice", "bob"], 2), [ALICE, BOB])
    data = text(2, ["carol"])
    assert code(offered(data, [CAROL]), seen) == "policy-not-signed"
    assert code(offered(data, [ALICE, BOB]), seen) == "policy-not-signed"
    assert code(offered(data, [ALICE, CAROL]), seen) == "policy-not-signed"
    assert code(offered(data, [ALICE, BOB, CAROL]), seen) is None
    words = lacking(offered(data, [ALICE, CAROL]), seen.policy, NOW)
    assert words == ("version 1 wants 2 of alice, bob: bob did not sign",)


def test_a_stranger_s_policy_of_a_higher_version_does_not_take_the_place() -> None:
    seen = offered(text(1, ["alice"]), [ALICE])
    assert code(offered(text(99, ["dan"]), [DAN]), seen) == "policy-not-signed"


def test_an_expired_policy_still_says_who_may_replace_it() -> None:
    old = text(1, ["alice"]).replace(b"2027-06-01", b"2026-01-01")
    seen = offered(old, [ALICE])
    assert code(offered(text(2, ["bob"]), [ALICE, BOB]), seen) is None
    assert code(offered(text(2, ["bob"]), [BOB]), seen) == "policy-not-signed"
    assert not seen.policy.decide(
        Claim("root", frozenset({ALICE.public.fingerprint}), POLICY_TYPE), NOW
    ).allowed


def test_a_signed_policy_is_never_replaced_by_an_unsigned_or_other_or_older_one() -> None:
    seen = offered(text(5, ["alice"]), [ALICE])
    assert code(seen, seen) is None
    assert code(offered(text(6, [])), seen) == "policy-downgrade"
    assert code(offered(text(5, []), [ALICE]), seen) == "policy-downgrade"
    assert code(offered(text(4, ["alice"]), [ALICE]), seen) == "policy-rollback"
    assert code(offered(text(4, [])), seen) == "policy-rollback"
    assert code(offered(seen.data + b"# other\n", [ALICE]), seen) == "policy-replaced"


def test_the_signatures_of_what_counts_are_looked_at_again_each_time() -> None:
    seen = offered(text(5, ["alice"]), [ALICE])
    assert code(replace(seen, envelopes=()), seen) == "policy-not-signed"
    with pytest.raises(TrustError):
        refuse_policy(
            offered(text(1, ["alice"], lines="valid-until = 2026-12-01T00:00:00Z"), [ALICE]),
            None,
            NOW + timedelta(days=30),
        )


def test_an_unsigned_policy_may_be_edited_by_hand_and_become_a_signed_one() -> None:
    seen = offered(text(5, []))
    assert code(offered(text(5, []) + b"# a remark\n"), seen) is None
    assert code(offered(text(4, [])), seen) == "policy-rollback"
    assert code(offered(text(6, ["alice"])), seen) == "policy-not-signed"
    assert code(offered(text(6, ["alice"]), [ALICE]), seen) is None


def test_the_roots_are_those_that_the_rules_name() -> None:
    first, second = (read_policy(text(1, root)) for root in (["alice"], ["bob", "carol"]))
    ids = {signer.public.fingerprint for signer in (ALICE, BOB, CAROL)}
    assert root_signers(first, second, None, read_policy(text(1, []))) == ids
