"""Edits of rules, of a policy's end and of its ledgers: what they narrow, and what they never widen."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from launcher.errors import EvalctlError, MalformedError
from launcher.ledger.checkpoint import witness_key
from launcher.spec.predicates import IMPORTED_TYPE, LOCK_TYPE, PROVENANCE_TYPE, RESULT_TYPE
from launcher.spec.roles import ROLES, Role
from launcher.trust.notes import LOG, NoteKey
from launcher.trust.policy import Policy
from launcher.trust.policy_edit import add_key, renew_policy
from launcher.trust.policy_file import read_policy
from launcher.trust.policy_ledgers import LedgerPin, pin_ledger
from launcher.trust.policy_rules import RuleChange, change_rule
from tests.conftest import Evalctl
from tests.trust.sealed_bundle import ALICE, BOB, MALLORY, NOW
from tests.trust.test_policy_edit import CAROL, LOG_KEY, TEXT, WITNESS_LINE

NAMES = ("alice", "bob", "carol", "zoe")
SOME_NAMES = st.lists(st.sampled_from(NAMES), unique=True, max_size=3).map(tuple)


def edited(edit: Callable[[str], str], text: str = TEXT) -> Policy:
    return read_policy(edit(text).encode())


def test_who_is_taken_from_a_rule_signs_nothing_under_it_and_stays_a_key() -> None:
    three = change_rule(add_key(TEXT, CAROL), "result", RuleChange(removed=("bob",)))
    policy = read_policy(three.encode())
    assert policy.rules["result"].members == {"alice", "carol"}
    assert policy.rules["result"].threshold == 2
    assert policy.keys["bob"].roles == {"reproduction"}
    assert policy.objection("result", BOB.public.fingerprint, NOW) is not None
    back = edited(lambda text: change_rule(text, "result", RuleChange(members=("bob",))), three)
    assert back.objection("result", BOB.public.fingerprint, NOW) is None


def test_a_key_s_only_role_stays_and_counts_for_nothing() -> None:
    text = add_key(TEXT, replace(CAROL, roles=frozenset({"lock"})))
    policy = edited(lambda text: change_rule(text, "lock", RuleChange(removed=("carol",))), text)
    assert policy.keys["carol"].roles == {"lock"}
    assert policy.objection("lock", CAROL.public.fingerprint, NOW) is not None


@pytest.mark.parametrize(
    ("role", "removed", "code"),
    [
        ("result", ("alice",), "threshold"),
        ("lock", ("alice",), "threshold"),
        ("lock", ("bob",), "no-such-name"),
        ("lock", ("zoe",), "no-such-name"),
        ("root", ("alice",), "no-such-name"),
    ],
)
def test_no_threshold_is_lowered_because_somebody_goes(
    role: Role, removed: tuple[str, ...], code: str
) -> None:
    with pytest.raises(MalformedError) as caught:
        change_rule(TEXT, role, RuleChange(removed=removed))
    assert caught.value.code == code


def test_nobody_is_added_and_removed_at_once() -> None:
    with pytest.raises(MalformedError, match="added and removed"):
        change_rule(TEXT, "lock", RuleChange(members=("bob",), removed=("bob",)))


@given(
    st.sampled_from(ROLES),
    SOME_NAMES,
    SOME_NAMES,
    st.integers(1, 3) | st.none(),
    st.sampled_from(['from = ["alice"]', 'from = ["alice",]', 'from = [ # a\n"alice" # b\n, # c\n]']),
)
def test_an_edit_of_a_rule_does_what_it_says_and_nothing_else(
    role: Role, added: tuple[str, ...], removed: tuple[str, ...], threshold: int | None, spelling: str
) -> None:
    text = add_key(TEXT.replace('from = ["alice"]', spelling), CAROL)
    before = read_policy(text.encode())
    try:
        after = read_policy(change_rule(text, role, RuleChange(threshold, added, removed=removed)).encode())
    except MalformedError:
        return
    was, rule = before.rules.get(role), after.rules[role]
    assert rule.members == ((was.members if was else frozenset()) | set(added)) - set(removed)
    assert rule.threshold == (threshold or (was.threshold if was else 1))
    assert {name: rule for name, rule in after.rules.items() if name != role} == {
        name: rule for name, rule in before.rules.items() if name != role
    }
    for name, key in after.keys.items():
        assert key == replace(before.keys[name], roles=key.roles)
        assert key.roles <= before.keys[name].roles | ({role} if name in added else set())


def test_a_rule_that_allows_one_type_refuses_the_others_until_any_is_allowed() -> None:
    text = change_rule(TEXT, "lock", RuleChange(predicates=(LOCK_TYPE,)))
    assert read_policy(text.encode()).rules["lock"].predicates == {LOCK_TYPE}
    text = change_rule(text, "lock", RuleChange(predicates=(IMPORTED_TYPE,), max_age=None))
    assert read_policy(text.encode()).rules["lock"].predicates == {IMPORTED_TYPE}
    lifted = change_rule(text, "lock", RuleChange(predicates=("any",)))
    assert read_policy(lifted.encode()).rules["lock"].predicates == frozenset()
    assert change_rule(lifted, "lock", RuleChange(predicates=("any",))) == lifted


def test_a_bound_on_age_is_lifted_with_any_alone() -> None:
    text = change_rule(TEXT, "result", RuleChange(max_age="30d"))
    assert edited(lambda text: change_rule(text, "result", RuleChange(threshold=1)), text).rules[
        "result"
    ].max_age == timedelta(days=30)
    lifted = change_rule(text, "result", RuleChange(max_age="any"))
    assert read_policy(lifted.encode()).rules["result"].max_age is None
    assert "max-age" not in lifted


@pytest.mark.parametrize(
    ("role", "predicates"),
    [
        ("lock", ("https://example.org/lock/v1",)),
        ("lock", (RESULT_TYPE,)),
        ("lock", (LOCK_TYPE, "any")),
        ("result", (RESULT_TYPE,)),
        ("result", (PROVENANCE_TYPE,)),
        ("result", ("evaluation-result/v1", PROVENANCE_TYPE)),
    ],
)
def test_types_that_nothing_is_signed_as_and_half_a_result_are_refused(
    role: Role, predicates: tuple[str, ...]
) -> None:
    with pytest.raises(MalformedError) as caught:
        change_rule(TEXT, role, RuleChange(predicates=predicates))
    assert (caught.value.code, LOCK_TYPE in str(caught.value.context)) == ("usage", role == "lock")


def test_a_policy_is_renewed_for_five_years_and_never_made_shorter_unasked() -> None:
    policy = edited(lambda text: renew_policy(text, NOW))
    assert (policy.expires - NOW).days in range(5 * 365, 5 * 366 + 1)
    later = renew_policy(TEXT, NOW, NOW + timedelta(days=9000))
    assert renew_policy(later, NOW) == later
    assert (
        edited(lambda text: renew_policy(text, NOW, NOW + timedelta(days=1)), later).expires < policy.expires
    )


@pytest.mark.parametrize("days", [-1, 0])
def test_a_policy_is_not_renewed_until_a_time_that_is_past(days: int) -> None:
    with pytest.raises(MalformedError, match="is past"):
        renew_policy(TEXT, NOW, NOW + timedelta(days=days))


def test_a_ledger_is_pinned_and_more_is_asked_of_it_later() -> None:
    text = pin_ledger(TEXT, LedgerPin("lab", LOG_KEY))
    text = pin_ledger(text, LedgerPin("lab", signers=("alice",)))
    text = pin_ledger(text, LedgerPin("lab", witnesses=(WITNESS_LINE,)))
    other = witness_key(ALICE.public).text
    text = pin_ledger(text, LedgerPin("lab", LOG_KEY, (other, WITNESS_LINE), ("alice",)))
    policy = read_policy(text.encode())
    assert (policy.keys["alice"].ledger, policy.keys["bob"].ledger) == ("lab", None)
    assert {key.text for key in policy.ledgers["lab"].witnesses} == {WITNESS_LINE, other}
    assert (policy.ledgers["lab"].origin, policy.version) == (LOG_KEY.name, 7)
    assert pin_ledger(text, LedgerPin("lab", LOG_KEY, (other,), ("alice",))) == text


@pytest.mark.parametrize(
    "pin",
    [
        LedgerPin("lab", NoteKey("example.org/other", MALLORY.public, LOG)),
        LedgerPin("twin", LOG_KEY),
        LedgerPin("none", signers=("alice",)),
        LedgerPin("la b", NoteKey("example.org/other", MALLORY.public, LOG)),
        LedgerPin("lab", witnesses=(LOG_KEY.text,)),
        LedgerPin("lab", witnesses=("nobody",)),
        LedgerPin("lab", signers=("zoe",)),
    ],
)
def test_a_pin_that_takes_another_s_place_or_names_nobody_is_refused(pin: LedgerPin) -> None:
    text = pin_ledger(TEXT, LedgerPin("lab", LOG_KEY, (WITNESS_LINE,), ("alice",)))
    with pytest.raises(MalformedError):
        pin_ledger(text, pin)


@given(st.text().map(lambda text: TEXT + text))
def test_whatever_follows_a_policy_edits_raise_only_our_error(text: str) -> None:
    for edit in (
        lambda text: change_rule(text, "result", RuleChange(1, removed=("alice",), max_age="any")),
        lambda text: pin_ledger(text, LedgerPin("lab", LOG_KEY, (WITNESS_LINE,), ("bob",))),
        lambda text: renew_policy(text, NOW, NOW + timedelta(days=900)),
    ):
        try:
            assert edit(text)
        except EvalctlError:
            continue


def test_hints_name_the_policy_that_was_named(evalctl: Evalctl, tmp_path: Path) -> None:
    policy, pub = tmp_path / "a policy.toml", tmp_path / "bob.pub"
    policy.write_text(TEXT)
    pub.write_text(BOB.public.openssh)
    for words in (
        ["add", pub],
        ["rule", "result", "--threshold", "9"],
        ["rule", "result"],
        ["revoke", "zoe", "--reason", "superseded"],
        ["rule", "lock", "--remove", "bob"],
        ["renew", "--until", "2001-01-01"],
    ):
        done = evalctl("trust", *words, "--trust", policy)
        assert (done.code, f"--trust '{policy}'" in done.err) == (2, True), done.err
    assert policy.read_text() == TEXT


@pytest.fixture
def signed(evalctl: Evalctl, tmp_path: Path) -> Path:
    """A signed policy of alice and bob, both of whom its root asks for."""
    policy = tmp_path / "policy.toml"
    for name in ("alice", "bob", "mallory"):
        assert evalctl("key", "new", tmp_path / name).code == 0
    place = ("--trust", policy, "--key", tmp_path / "alice")
    assert evalctl("trust", "init", "--key", place[3], "--signed", *place[:2]).code == 0
    assert evalctl("trust", "add", tmp_path / "bob.pub", *place).code == 0
    assert evalctl("trust", "rule", "root", "--add", "bob", "--threshold", "2", *place).code == 0
    assert evalctl("trust", "sign", policy, "--key", tmp_path / "bob").code == 0
    return policy


ATTACKS = {
    "another end": ["renew", "--until", "2099-01-01"],
    "a root taken": ["rule", "root", "--remove", "alice", "--threshold", "1"],
    "fewer roots": ["rule", "root", "--threshold", "1"],
    "a type allowed": ["rule", "lock", "--predicate", IMPORTED_TYPE],
    "a pin": ["ledger", "lab", "{mallory}.pub", "--for", "alice"],
    "a key": ["add", "{mallory}.pub"],
}


@pytest.mark.parametrize("key", ["bob", "mallory"])
@pytest.mark.parametrize("words", ATTACKS.values(), ids=ATTACKS.keys())
def test_no_edit_of_one_root_key_or_of_a_stranger_s_counts(
    evalctl: Evalctl, signed: Path, words: list[str], key: str, tmp_path: Path
) -> None:
    typed = [word.replace("{mallory}", str(tmp_path / "mallory")) for word in words]
    done = evalctl("trust", *typed, "--trust", signed, "--key", tmp_path / key, "--json")
    assert (done.code, bool(json.loads(done.out)["missing"])) == (0, True), done.err
    assert evalctl("trust", "show", "--trust", signed).code == 3
    # Nor with the other signature that whoever made the edit has.
    evalctl("trust", "sign", signed, "--key", tmp_path / "mallory")
    assert evalctl("trust", "show", "--trust", signed).code == 3


def test_a_renewal_is_not_signed_over_what_somebody_else_wrote_into_the_file(
    evalctl: Evalctl, signed: Path, tmp_path: Path
) -> None:
    text = signed.read_text()
    mallory = " ".join((tmp_path / "mallory.pub").read_text().split()[:2])
    signed.write_text(f'{text}\n[keys.mallory]\npublic = "{mallory}"\nroles = ["result"]\n')
    done = evalctl("trust", "renew", "--until", "2099-01-01", "--trust", signed, "--key", tmp_path / "alice")
    assert "alice, bob did not sign" in " ".join(done.err.split())
    assert evalctl("trust", "show", "--trust", signed).code == 3


def test_a_policy_that_expired_is_renewed_by_its_roots_alone(
    evalctl: Evalctl, signed: Path, tmp_path: Path
) -> None:
    def sign(*names: str) -> str:
        for name in names:
            evalctl("trust", "sign", signed, "--key", tmp_path / name)
        return evalctl("trust", "show", "--trust", signed).out

    text = re.sub("expires = .*", "expires = 2026-01-01T00:00:00Z", signed.read_text())
    signed.write_text(re.sub("version = .*", "version = 9", text))
    assert "it does not count: it expired" in sign("alice", "bob")
    place = ("--trust", signed, "--key", tmp_path / "alice")
    assert evalctl("trust", "renew", "--until", "2099-01-01", *place).code == 0
    assert "version 10 wants 2 of alice, bob: bob did not sign" in sign("mallory")
    assert "it does not count" not in sign("bob")
