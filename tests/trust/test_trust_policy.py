from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from launcher.errors import EvalctlError, MalformedError, TrustError
from launcher.spec.predicates import LOCK_TYPE, RESULT_TYPE
from launcher.spec.roles import EVIDENCE_ROLES
from launcher.trust.policy import Claim, Policy, refuse_rollback, single_key_policy
from launcher.trust.policy_edit import initial_policy
from launcher.trust.policy_file import MAX_POLICY_BYTES, read_policy
from tests.trust.sealed_bundle import ALICE, BOB, MALLORY, NOW

TEXT = f"""
version = 3  # bumped by hand
expires = 2027-06-01T00:00:00Z

[keys.alice]
public = "{ALICE.public.openssh} alice@example.org"
roles = ["lock", "result"]

[keys.bob]
public = "{BOB.public.openssh}"
roles = ["result", "reproduction"]

[rules.lock]
threshold = 1
from = ["alice"]

[rules.result]
# both of us
threshold = 2
from = [
    "alice",
    "bob",
]
"""
RESULT_BY_BOTH = Claim("result", frozenset({ALICE.public.fingerprint, BOB.public.fingerprint}), RESULT_TYPE)
LOCK_BY_ALICE = Claim("lock", frozenset({ALICE.public.fingerprint}), LOCK_TYPE)


def with_line(line: str, table: str = "[keys.alice]") -> Policy:
    return read_policy(TEXT.replace(table, f"{table}\n{line}").encode())


def refused(policy: Policy, claim: Claim = LOCK_BY_ALICE, now: datetime = NOW) -> str:
    decision = policy.decide(claim, now)
    assert not decision.allowed
    return decision.reason


def test_what_the_rules_allow_is_allowed() -> None:
    policy = read_policy(TEXT.encode())
    assert policy.version == 3
    assert policy.decide(LOCK_BY_ALICE, NOW).allowed
    assert policy.decide(RESULT_BY_BOTH, NOW).allowed


def test_an_expired_policy_denies_everything() -> None:
    policy = read_policy(TEXT.encode())
    assert policy.decide(LOCK_BY_ALICE, policy.expires - timedelta(seconds=1)).allowed
    assert "expired" in refused(policy, now=policy.expires)


def test_without_a_rule_for_the_role_it_is_denied() -> None:
    claim = Claim("reproduction", frozenset({BOB.public.fingerprint}), "x")
    assert "no rule" in refused(read_policy(TEXT.encode()), claim)


def test_too_few_principals_are_denied() -> None:
    claim = replace(RESULT_BY_BOTH, signers=frozenset({ALICE.public.fingerprint}))
    assert "asks for 2, 1 counted" in refused(read_policy(TEXT.encode()), claim)


def test_more_signatures_are_asked_for_where_those_who_can_give_them_would_be_enough() -> None:
    by_alice = replace(RESULT_BY_BOTH, signers=frozenset({ALICE.public.fingerprint}), builder="https://b")
    for line, wants in (
        ("", True),
        ('builders = ["https://b"]', True),
        ('builders = ["https://c"]', False),
        ("valid-until = 2026-11-20T12:00:00Z", False),
        ('revoked-from = 2027-01-01T00:00:00Z\nreason = "key-compromise"', False),
    ):
        assert with_line(line, "[keys.bob]").decide(by_alice, NOW).wants_signers == wants, line
    # Her own signature does not count, and the two that were asked for cannot come together any more.
    revoked = with_line('revoked-from = 2026-01-01T00:00:00Z\nreason = "superseded"')
    assert not revoked.decide(by_alice, NOW).wants_signers
    assert not read_policy(TEXT.encode()).decide(RESULT_BY_BOTH, NOW).wants_signers


def test_a_key_that_the_rule_does_not_name_is_denied() -> None:
    claim = replace(LOCK_BY_ALICE, signers=frozenset({BOB.public.fingerprint}))
    assert "`bob` is not named" in refused(read_policy(TEXT.encode()), claim)


def test_a_key_that_the_policy_does_not_hold_is_denied() -> None:
    claim = replace(LOCK_BY_ALICE, signers=frozenset({MALLORY.public.fingerprint}))
    assert "is not in the trust policy" in refused(read_policy(TEXT.encode()), claim)
    assert not read_policy(TEXT.encode()).decide(replace(LOCK_BY_ALICE, signers=frozenset()), NOW).allowed


def test_a_key_without_the_role_is_denied_though_the_rule_names_it() -> None:
    policy = read_policy(TEXT.replace('["lock", "result"]', '["result"]').encode())
    assert "does not have the role" in refused(policy)


def test_a_key_before_its_time_is_denied() -> None:
    policy = with_line("valid-from = 2026-11-21T00:00:00Z")
    assert "not valid before" in refused(policy)
    assert policy.decide(LOCK_BY_ALICE, datetime(2026, 11, 21, tzinfo=UTC)).allowed


def test_a_key_after_its_time_is_denied() -> None:
    policy = with_line("valid-until = 2026-11-20T12:00:00Z")
    assert "was valid until" in refused(policy)
    assert policy.decide(LOCK_BY_ALICE, NOW - timedelta(seconds=1)).allowed


def test_a_compromised_key_is_denied_whatever_the_time_says() -> None:
    policy = with_line('revoked-from = 2027-01-01T00:00:00Z\nreason = "key-compromise"')
    assert "key-compromise" in refused(policy)


def test_a_superseded_key_is_denied_from_that_time_on() -> None:
    policy = with_line('revoked-from = 2026-11-20T12:00:00Z\nreason = "superseded"')
    assert "superseded" in refused(policy)
    assert policy.decide(LOCK_BY_ALICE, NOW - timedelta(seconds=1)).allowed


def test_a_key_is_denied_on_a_builder_that_it_is_not_for() -> None:
    policy = with_line('builders = ["https://example.org/gpu-07"]')
    right = replace(RESULT_BY_BOTH, builder="https://example.org/gpu-07")
    assert policy.decide(right, NOW).allowed
    assert "may not sign for the builder" in refused(
        policy, replace(right, builder="https://example.org/gpu-08")
    )


def test_a_predicate_that_the_rule_does_not_name_is_denied() -> None:
    policy = with_line(f'predicate = ["{LOCK_TYPE}"]', "[rules.lock]")
    assert policy.decide(LOCK_BY_ALICE, NOW).allowed
    assert "does not allow" in refused(policy, replace(LOCK_BY_ALICE, predicate=RESULT_TYPE))


def test_an_older_version_than_was_seen_is_refused() -> None:
    policy = read_policy(TEXT.encode())
    refuse_rollback(policy, 3)
    with pytest.raises(TrustError, match="version 3, but version 4"):
        refuse_rollback(policy, 4)


FAULTS = {
    "unknown field at the top": ("version = 3", "version = 3\ncolour = 1", "unknown field 'colour'"),
    "unknown field in a key": ("[keys.bob]", "[keys.bob]\nvalid-form = 1", "keys.bob`: unknown field"),
    "unknown field in a rule": ("[rules.lock]", "[rules.lock]\nimages = 1", "rules.lock`: unknown field"),
    "no version": ("version = 3", "", "`version`"),
    "version 0": ("version = 3", "version = 0", "`version`"),
    "a version that is true": ("version = 3", "version = true", "`version`"),
    "no end": ("expires = 2027-06-01T00:00:00Z", "", "`expires` is missing"),
    "an end without a zone": ("00:00:00Z", "00:00:00", "with its zone"),
    "an end that is a date": ("2027-06-01T00:00:00Z", "2027-06-01", "with its zone"),
    "an end that is a text": ("2027-06-01T00:00:00Z", '"2027-06-01T00:00:00Z"', "with its zone"),
    "one key under two names": (BOB.public.openssh, ALICE.public.openssh, "the same key as"),
    "a key that is none": (BOB.public.openssh, "ssh-ed25519 AAAA", "keys.bob`: "),
    "a private key": (BOB.public.openssh, "-----BEGIN PRIVATE KEY-----", "private key"),
    "no roles": ('roles = ["lock", "result"]', "", "`roles`"),
    "empty roles": ('["lock", "result"]', "[]", "`roles`"),
    "an unknown role": ('["lock", "result"]', '["lock", "king"]', "unknown role 'king'"),
    "a role twice": ('["lock", "result"]', '["lock", "lock"]', "twice"),
    "a rule for an unknown role": ("[rules.lock]", "[rules.king]", "unknown role"),
    "threshold 0": ("threshold = 1", "threshold = 0", "`threshold`"),
    "threshold above its members": ("threshold = 1", "threshold = 2", "`threshold`"),
    "threshold that is true": ("threshold = 1", "threshold = true", "`threshold`"),
    "no threshold": ("threshold = 1", "", "`threshold`"),
    "a member that is no key": ('from = ["alice"]', 'from = ["carol"]', "`carol`"),
    "a member twice": ('from = ["alice"]', 'from = ["alice", "alice"]', "twice"),
    "no members": ('from = ["alice"]', "from = []", "`from`"),
    "revoked without a reason": ("[keys.bob]", "[keys.bob]\nrevoked-from = 2026-01-01T00:00:00Z", "together"),
    "a reason without a time": ("[keys.bob]", '[keys.bob]\nreason = "superseded"', "together"),
    "an unknown reason": ("[keys.bob]", '[keys.bob]\nreason = "lost"', "`reason`"),
    "valid until before it is valid": (
        "[keys.bob]",
        "[keys.bob]\nvalid-from = 2027-01-01T00:00:00Z\nvalid-until = 2026-01-01T00:00:00Z",
        "not before",
    ),
    "builders that are none": ("[keys.bob]", "[keys.bob]\nbuilders = []", "`builders`"),
    "predicates that are none": ("[rules.lock]", "[rules.lock]\npredicate = []", "`predicate`"),
    "keys that are no tables": ("[keys.bob]", "[keys]\ncarol = 1\n[keys.bob]", "must hold tables"),
    "an odd name": ("[keys.bob]", '[keys."b ob"]', "a key's name"),
    "no TOML": ("version = 3", "version =", "is not TOML"),
}


@pytest.mark.parametrize(("old", "new", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_policy_with_a_fault_is_refused_and_the_fault_named(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(MalformedError) as caught:
        read_policy(TEXT.replace(old, new, 1).encode())
    assert message in "\n".join([caught.value.message, *map(str, caught.value.problems)])


def test_every_fault_is_named_with_its_line() -> None:
    text = TEXT.replace("threshold = 2", "threshold = 9").replace('["lock", "result"]', "[]")
    with pytest.raises(MalformedError) as caught:
        read_policy(text.encode(), file="site.toml")
    places = [str(problem).split(" ")[0] for problem in caught.value.problems]
    assert places == ["site.toml:5:1:", "site.toml:17:1:"]


def test_a_huge_policy_is_refused() -> None:
    with pytest.raises(MalformedError, match="larger than"):
        read_policy(b"#" * (MAX_POLICY_BYTES + 1))


@given(st.binary() | st.text().map(lambda text: f"version = 1\n{text}".encode()))
def test_whatever_bytes_are_read_as_a_policy_only_our_error_is_raised(data: bytes) -> None:
    with pytest.raises(EvalctlError):
        read_policy(data)


def test_deeply_nested_toml_is_refused() -> None:
    with pytest.raises(MalformedError):
        read_policy(b"a = " + b"[" * 100_000)


def test_the_first_policy_trusts_its_key_for_everything_for_five_years() -> None:
    policy = read_policy(initial_policy("default", ALICE.public, datetime(2028, 2, 29, tzinfo=UTC)).encode())
    assert (policy.version, policy.expires) == (1, datetime(2033, 2, 28, tzinfo=UTC))
    for role in EVIDENCE_ROLES:
        assert policy.decide(Claim(role, frozenset({ALICE.public.fingerprint}), "x"), NOW).allowed


def test_the_policy_of_one_key_trusts_no_other() -> None:
    policy = single_key_policy(ALICE.public)
    for role in EVIDENCE_ROLES:
        assert policy.decide(Claim(role, frozenset({ALICE.public.fingerprint}), "x"), NOW).allowed
        assert not policy.decide(Claim(role, frozenset({BOB.public.fingerprint}), "x"), NOW).allowed
