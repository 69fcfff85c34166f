"""Every field of `trust.toml` decides something: for each there is a violation, and it is refused."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from launcher.errors import EvalctlError, MalformedError
from launcher.spec.predicates import LOCK_TYPE, RESULT_TYPE
from launcher.spec.roles import EVIDENCE_ROLES, ROLES
from launcher.trust.policy import CLOCK_SKEW, Claim, Policy
from launcher.trust.policy_file import FIELDS, MAX_MEMBERS, read_policy
from tests.trust.sealed_bundle import ALICE, BOB, MALLORY, NOW, ed25519_signer, p256_signer

BUILDER = "https://example.org/gpu-07"
TEXT = f"""
version = 3
expires = 2027-06-01T00:00:00Z

[keys.alice]
public = "{ALICE.public.openssh}"
roles = ["lock", "result"]
# of alice

[keys.bob]
public = "{BOB.public.openssh}"
roles = ["result", "reproduction"]

[rules.lock]
threshold = 1
from = ["alice"]

[rules.result]
threshold = 2
from = ["alice", "bob"]
"""
ALICE_ID, BOB_ID = ALICE.public.fingerprint, BOB.public.fingerprint
LOCK = Claim("lock", frozenset({ALICE_ID}), LOCK_TYPE)
RESULT = Claim("result", frozenset({ALICE_ID, BOB_ID}), RESULT_TYPE, BUILDER, made_at=NOW)
LATER = NOW + timedelta(days=30)


@dataclass(frozen=True)
class Violation:
    """A policy that differs from TEXT, a claim that violates it, and one beside it that does not."""

    old: str
    new: str
    refused: Claim
    because: str
    now: datetime = NOW
    allowed: Claim | None = None
    allowed_now: datetime = NOW


def of_alice(lines: str) -> tuple[str, str]:
    return "# of alice", lines


def stamped(claim: Claim, moment: datetime) -> Claim:
    return replace(claim, signed_at=dict.fromkeys(claim.signers, moment))


WINDOW = "valid-from = 2026-11-01T00:00:00Z\nvalid-until = 2026-12-01T00:00:00Z"
SUPERSEDED = 'revoked-from = 2026-11-10T00:00:00Z\nreason = "superseded"'
COMPROMISED = 'revoked-from = 2026-11-10T00:00:00Z\nreason = "key-compromise"'
BEFORE = datetime(2026, 11, 9, tzinfo=UTC)

VIOLATIONS: Mapping[tuple[str, str], list[Violation]] = {
    ("", "expires"): [
        Violation("", "", LOCK, "expired", datetime(2027, 6, 1, tzinfo=UTC), LOCK),
        Violation("", "", stamped(LOCK, NOW), "expired", datetime(2027, 6, 1, tzinfo=UTC), LOCK),
    ],
    ("", "keys"): [Violation(*of_alice(""), replace(LOCK, signers=frozenset({BOB_ID})), "not named")],
    ("", "rules"): [
        Violation("", "", replace(RESULT, role="reproduction"), "no rule for `reproduction`"),
        Violation("", "", replace(LOCK, role="root"), "no rule for `root`"),
    ],
    ("keys", "public"): [
        Violation("", "", replace(LOCK, signers=frozenset({MALLORY.public.fingerprint})), "not in the trust")
    ],
    ("keys", "roles"): [
        Violation('roles = ["lock", "result"]', 'roles = ["result"]', LOCK, "not have the role `lock`")
    ],
    ("keys", "valid-from"): [
        Violation(*of_alice(WINDOW), LOCK, "not valid before", BEFORE - timedelta(days=10), LOCK),
        Violation(*of_alice(WINDOW), stamped(LOCK, BEFORE - timedelta(days=10)), "not valid", NOW, LOCK),
    ],
    ("keys", "valid-until"): [
        Violation(*of_alice(WINDOW), LOCK, "was valid until", LATER, LOCK),
        Violation(*of_alice(WINDOW), stamped(LOCK, LATER), "was valid", LATER, stamped(LOCK, NOW), LATER),
    ],
    ("keys", "revoked-from"): [
        Violation(*of_alice(SUPERSEDED), LOCK, "revoked since", NOW, LOCK, BEFORE),
        Violation(*of_alice(SUPERSEDED), stamped(LOCK, NOW), "revoked since", NOW, stamped(LOCK, BEFORE)),
        Violation(*of_alice(SUPERSEDED), stamped(LOCK, LATER), "revoked since", NOW, stamped(LOCK, BEFORE)),
    ],
    ("keys", "reason"): [
        Violation(*of_alice(COMPROMISED), stamped(LOCK, BEFORE), "key-compromise"),
        Violation(*of_alice(COMPROMISED), LOCK, "key-compromise", BEFORE),
    ],
    ("keys", "builders"): [
        Violation(*of_alice(f'builders = ["{BUILDER}"]'), replace(RESULT, builder=other), "may not sign for")
        for other in (f"{BUILDER}/", f"{BUILDER}0", BUILDER[:-1], "https://example.org/*", "", None)
    ],
    ("rules", "threshold"): [
        Violation("", "", replace(RESULT, signers=frozenset({ALICE_ID})), "asks for 2, 1 counted"),
        Violation("", "", replace(RESULT, signers=frozenset()), "asks for 2, 0 counted"),
    ],
    ("rules", "from"): [
        Violation('from = ["alice", "bob"]', 'from = ["alice", "carol"]', RESULT, "`bob` is not named"),
    ],
    ("rules", "predicate"): [
        Violation(
            "threshold = 1", f'threshold = 1\npredicate = ["{RESULT_TYPE}"]', LOCK, "does not allow", NOW
        )
    ],
    ("rules", "max-age"): [
        Violation("threshold = 2", 'threshold = 2\nmax-age = "24h"', claim, because, now, RESULT)
        for claim, because, now in (
            (RESULT, "older than", NOW + timedelta(hours=24, seconds=1)),
            (stamped(RESULT, NOW + timedelta(hours=24)), "older than", NOW + timedelta(hours=24, seconds=1)),
            (replace(RESULT, made_at=None), "states no time", NOW),
            (replace(RESULT, made_at=NOW + 2 * CLOCK_SKEW), "yet to come", NOW),
        )
    ],
}
CAROL = f'\n[keys.carol]\npublic = "{p256_signer(9).public.openssh}"\nroles = ["result"]\n'
SPELLED = {(table, field) for table, fields in FIELDS.items() for field in fields}
# What is not judged with a claim: the version goes by what was seen here before, authorities by tokens,
# ledgers by proofs.
ELSEWHERE = {
    ("", "version"): "test_what_counted_once_is_remembered_and_an_older_one_refused",
    ("", "timestamps"): "test_without_a_pinned_authority_it_is_not_checked",
    ("timestamps", "certificate"): "test_a_token_by_an_authority_of_the_same_name_is_failed",
    ("timestamps", "valid-from"): "test_an_authority_counts_in_its_time_alone",
    ("timestamps", "valid-until"): "test_an_authority_counts_in_its_time_alone",
    ("", "ledgers"): "test_five_homes_are_local_ledgers_and_refused_where_one_is_pinned",
    ("keys", "ledger"): "test_five_homes_are_local_ledgers_and_refused_where_one_is_pinned",
    ("ledgers", "origin"): "test_five_homes_are_local_ledgers_and_refused_where_one_is_pinned",
    ("ledgers", "public"): "test_a_pin_with_another_key_is_not_this_ledger",
    ("ledgers", "witnesses"): "test_a_witness_that_the_policy_knows_makes_it_witnessed",
}
CASES = [(where, case) for where, cases in VIOLATIONS.items() for case in cases]
NAMES = [".".join(filter(None, where)) for where, _ in CASES]


def policy_of(case: Violation) -> Policy:
    assert case.old in TEXT
    text = TEXT.replace(case.old, case.new, 1) if case.old else TEXT
    return read_policy((text + CAROL).encode())


def test_every_field_of_the_format_has_a_violation() -> None:
    assert VIOLATIONS.keys() | ELSEWHERE.keys() == SPELLED
    assert FIELDS.keys() - {""} == set(FIELDS[""]) - {"version", "expires"}, "the fields of every table"
    tests = Path(__file__).parent.parent
    sources = "".join(path.read_text() for path in tests.glob("*/test_*.py"))
    assert [name for name in ELSEWHERE.values() if f"def {name}(" not in sources] == []


@pytest.mark.parametrize(("where", "case"), CASES, ids=NAMES)
def test_a_violation_of_the_field_is_refused(where: tuple[str, str], case: Violation) -> None:
    decision = policy_of(case).decide(case.refused, case.now)
    assert not decision.allowed
    assert case.because in decision.reason


@pytest.mark.parametrize(("where", "case"), CASES, ids=NAMES)
def test_what_stands_beside_the_violation_is_allowed(where: tuple[str, str], case: Violation) -> None:
    if case.allowed is not None:
        assert policy_of(case).decide(case.allowed, case.allowed_now).allowed
    without = read_policy(TEXT.encode())
    assert without.decide(LOCK, NOW).allowed
    assert without.decide(RESULT, NOW).allowed


MALFORMED = [
    ("version = 3", "version = 0", "`version`"),
    ("version = 3", "version = 3.0", "`version`"),
    ("version = 3", "version = true", "`version`"),
    ("version = 3\n", "", "`version`"),
    ("expires = 2027-06-01T00:00:00Z", "expires = 2027-06-01T00:00:00", "its zone"),
    ("expires = 2027-06-01T00:00:00Z", "expires = 2027-06-01", "its zone"),
    ("expires = 2027-06-01T00:00:00Z\n", "", "`expires` is missing"),
    ("version = 3", "version = 3\nimages = []", "unknown field 'images'"),
    ("# of alice", "valid-to = 2027-06-01T00:00:00Z", "unknown field 'valid-to'"),
    ("threshold = 1", "threshold = 1\nquorum = 1", "unknown field 'quorum'"),
    ("[rules.lock]", "[rules.locks]", "unknown role"),
    ('roles = ["lock", "result"]', 'roles = ["lock", "admin"]', "unknown role 'admin'; the roles are lock"),
    ('roles = ["lock", "result"]', 'roles = ["lock", "results"]', "did you mean `result`?"),
    ('roles = ["lock", "result"]', 'roles = ["submission"]', "unknown role 'submission'; the roles are"),
    ("[rules.lock]", "[rules.launch]", "admitted by the signature of its lock, `lock`"),
    ("threshold = 2", 'threshold = 2\nmax_age = "1d"', "did you mean `max-age`?"),
    ('roles = ["lock", "result"]', "roles = []", "at least one"),
    ("# of alice", "valid-from = 2027-06-01T00:00:00", "its zone"),
    ("# of alice", "valid-until = 2027-06-01T00:00:00", "its zone"),
    ("# of alice", "valid-until = 9999-12-31T23:59:59-01:00", "in UTC"),
    ("# of alice", "valid-from = 0001-01-01T00:00:00+01:00", "in UTC"),
    ("# of alice", 'revoked-from = 2027-06-01T00:00:00\nreason = "superseded"', "its zone"),
    ("# of alice", 'reason = "superseded"', "stand together"),
    ("# of alice", "revoked-from = 2027-06-01T00:00:00Z", "stand together"),
    ("# of alice", 'revoked-from = 2027-06-01T00:00:00Z\nreason = "lost"', "`reason` must be"),
    ("# of alice", WINDOW.replace("2026-12-01", "2026-11-01"), "not before"),
    ("# of alice", 'builders = "x"', "`builders` must be a list"),
    ("# of alice", "builders = []", "at least one"),
    (BOB.public.openssh, ALICE.public.openssh, "the same key as `keys.alice`"),
    (BOB.public.openssh, f"{ALICE.public.openssh} bob", "the same key as `keys.alice`"),
    ("threshold = 2", "threshold = 3", "from 1 to 2"),
    ("threshold = 2", "threshold = 0", "from 1 to 2"),
    ("threshold = 2", "threshold = -1", "from 1 to 2"),
    ("threshold = 2", "threshold = true", "from 1 to 2"),
    ("threshold = 2", 'threshold = "2"', "from 1 to 2"),
    ("threshold = 2\n", "", "from 1 to 2"),
    ('from = ["alice", "bob"]', 'from = ["alice", "alice"]', "twice"),
    ('from = ["alice", "bob"]', 'from = ["alice", "zoe"]', "`zoe`, which is not among the keys"),
    ('from = ["alice", "bob"]', 'from = ["alice", "Bob"]', "`Bob`, which is not among the keys"),
    ("threshold = 2", "threshold = 2\npredicate = []", "at least one"),
    ("threshold = 2", "threshold = 2\nmax-age = 3600", "`max-age` must be a text"),
    ("threshold = 2", 'threshold = 2\nmax-age = "soon"', "`max-age`"),
    ("threshold = 1", 'threshold = 1\nmax-age = "1d"', "a `lock` signature states no time"),
]


@pytest.mark.parametrize(("old", "new", "because"), MALFORMED)
def test_a_malformed_field_is_an_error_that_names_it(old: str, new: str, because: str) -> None:
    assert old in TEXT
    with pytest.raises(MalformedError) as caught:
        read_policy(TEXT.replace(old, new, 1).encode())
    assert because in "\n".join(problem.message for problem in caught.value.problems)


def test_a_rule_from_more_keys_than_signatures_are_looked_at_is_refused() -> None:
    signers = [ed25519_signer(number) for number in range(10, 11 + MAX_MEMBERS)]
    tables = [
        f'[keys.k{number}]\npublic = "{signer.public.openssh}"\nroles = ["result"]\n'
        for number, signer in enumerate(signers)
    ]
    names = ", ".join(f'"k{number}"' for number in range(len(signers)))
    head = "version = 1\nexpires = 2027-06-01T00:00:00Z\n"
    rule = f"[rules.result]\nthreshold = 1\nfrom = [{names}]\n"
    with pytest.raises(MalformedError) as caught:
        read_policy((head + "".join(tables) + rule).encode())
    assert "at most 64 signatures" in caught.value.problems[0].message


def test_an_empty_policy_is_an_error_and_one_without_rules_denies() -> None:
    with pytest.raises(MalformedError):
        read_policy(b"")
    policy = read_policy(b"version = 1\nexpires = 2027-06-01T00:00:00Z\n")
    assert not any(policy.decide(replace(RESULT, role=role), NOW).allowed for role in ROLES)


VALUES = st.recursive(
    st.booleans().map(lambda value: str(value).lower())
    | st.integers().map(str)
    | st.floats().map(str)
    | st.text(max_size=8).map(json.dumps)
    | st.sampled_from(["2027-06-01T00:00:00Z", "2027-06-01T00:00:00", "2027-06-01", "00:00:00", '["alice"]'])
    | st.sampled_from([f'"{ALICE.public.openssh}"', '"superseded"', '["lock"]', '["result"]', '"24h"']),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | inner.map(lambda item: f"{{ a = {item} }}")
    ),
    max_leaves=4,
)
TABLES = st.dictionaries(st.sampled_from([*FIELDS[""], *FIELDS["keys"], *FIELDS["rules"], "other"]), VALUES)
HEADS = st.sampled_from(["keys", "rules", "keys.alice", "keys.bob", "rules.lock", "rules.root", "keys.a.b"])


@given(TABLES, st.lists(st.tuples(HEADS, TABLES), max_size=4))
def test_whatever_the_fields_hold_is_a_policy_or_our_error(
    head: dict[str, str], tables: list[tuple[str, dict[str, str]]]
) -> None:
    needed = {"version": "1", "expires": "2027-06-01T00:00:00Z"}
    lines = [f"{field} = {value}" for field, value in {**needed, **head}.items()]
    for name, fields in tables:
        lines += [f"[{name}]", *(f"{field} = {value}" for field, value in fields.items())]
    try:
        policy = read_policy("\n".join(lines).encode())
    except EvalctlError:
        return
    assert not policy.decide(LOCK, policy.expires).allowed


MOMENTS = st.datetimes(datetime(2026, 10, 1), datetime(2027, 7, 1), timezones=st.just(UTC))
SIGNERS = [ed25519_signer(number) for number in range(1, 6)]
IDS = [signer.public.fingerprint for signer in SIGNERS]


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Draw a policy of five keys with windows, revocations and builders, and rules over them."""
    lines = ["version = 1", "expires = 2027-06-01T00:00:00Z"]
    for number, signer in enumerate(SIGNERS):
        roles = draw(st.lists(st.sampled_from(EVIDENCE_ROLES), min_size=1, unique=True))
        lines += [f"[keys.k{number}]", f'public = "{signer.public.openssh}"', f"roles = {roles}"]
        lines += draw(
            st.sampled_from([[], [WINDOW], [SUPERSEDED], [COMPROMISED], [f'builders = ["{BUILDER}"]']])
        )
    for role in EVIDENCE_ROLES:
        members = draw(st.lists(st.sampled_from([f"k{n}" for n in range(5)]), min_size=1, unique=True))
        threshold = draw(st.integers(1, len(members)))
        lines += [f"[rules.{role}]", f"threshold = {threshold}", f"from = {members}"]
        if role != "lock":
            lines += draw(st.sampled_from([[], ['max-age = "30d"']]))
    return read_policy("\n".join(lines).encode())


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    return Claim(
        draw(st.sampled_from(EVIDENCE_ROLES)),
        frozenset(draw(st.lists(st.sampled_from(IDS), min_size=1))),
        RESULT_TYPE,
        draw(st.sampled_from([BUILDER, "https://example.org/other", None])),
        draw(st.dictionaries(st.sampled_from(IDS), MOMENTS)),
        draw(MOMENTS | st.none()),
    )


@given(policies(), claims(), MOMENTS, st.data())
def test_taking_a_signature_or_a_key_away_never_allows_what_was_denied(
    policy: Policy, claim: Claim, now: datetime, data: st.DataObject
) -> None:
    if policy.decide(claim, now).allowed:
        return
    signers = frozenset(data.draw(st.lists(st.sampled_from(sorted(claim.signers)))))
    assert not policy.decide(replace(claim, signers=signers), now).allowed
    kept = data.draw(st.lists(st.sampled_from(sorted(policy.keys)), unique=True))
    fewer = replace(policy, keys={name: policy.keys[name] for name in kept})
    assert not fewer.decide(claim, now).allowed
