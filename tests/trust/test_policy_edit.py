"""Edits of `trust.toml`: comments stay, the version counts up, and nothing else changes."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from launcher.errors import EvalctlError, MalformedError
from launcher.spec.predicates import LOCK_TYPE
from launcher.spec.roles import EVIDENCE_ROLES, Role
from launcher.trust.keys import PublicKey
from launcher.trust.notes import LOG, WITNESS, NoteKey
from launcher.trust.policy import TrustedKey
from launcher.trust.policy_edit import add_key, first_policy, initial_policy, renew_policy, revoke_key
from launcher.trust.policy_file import read_policy
from launcher.trust.policy_ledgers import LedgerPin, pin_ledger
from launcher.trust.policy_rules import RuleChange, change_rule
from tests.trust.sealed_bundle import ALICE, BOB, MALLORY, NOW, p256_signer

TEXT = f"""\
# the policy of the group
version = 3  # counted up
expires = 2027-06-01T00:00:00Z # soon

[keys.alice] # the first
# her laptop
public = "{ALICE.public.openssh} alice@example.org"
roles = ["lock", "result"]

[keys.bob]
public = "{BOB.public.openssh}"
roles = [
    "result", # results
    "reproduction",
]

[rules.lock]
threshold = 1
from = ["alice"]

[rules.result] # of two
# both of us
threshold = 2
from = [
    "alice", # first
    "bob",
]
# the end
"""
LOG_KEY = NoteKey("example.org/log", PublicKey("ssh-ed25519", BOB.public.blob[-32:]), LOG)
WITNESS_LINE = NoteKey("example.org/eve", PublicKey("ssh-ed25519", MALLORY.public.blob[-32:]), WITNESS).text
CAROL = TrustedKey("carol", p256_signer(5).public, frozenset(EVIDENCE_ROLES))
EDITS: dict[str, Callable[[str], str]] = {
    "add": lambda text: add_key(text, CAROL),
    "add for one role": lambda text: add_key(text, replace(CAROL, roles=frozenset({"reproduction"}))),
    "add with terms": lambda text: add_key(
        text,
        replace(CAROL, valid_from=NOW, valid_until=NOW + timedelta(days=9), builders=frozenset({"a", "b"})),
    ),
    "revoke": lambda text: revoke_key(text, "alice", "superseded", NOW),
    "revoke as compromised": lambda text: revoke_key(text, "bob", "key-compromise", NOW),
    "change a threshold": lambda text: change_rule(text, "result", RuleChange(threshold=1)),
    "bound the age": lambda text: change_rule(text, "result", RuleChange(max_age="1d12h")),
    "name a member": lambda text: change_rule(text, "lock", RuleChange(2, ("bob",))),
    "make a rule": lambda text: change_rule(text, "root", RuleChange(2, ("alice", "bob"))),
    "take a member": lambda text: change_rule(text, "result", RuleChange(1, removed=("alice",))),
    "take the last of a list": lambda text: change_rule(text, "result", RuleChange(1, removed=("bob",))),
    "name types": lambda text: change_rule(text, "lock", RuleChange(predicates=(LOCK_TYPE,))),
    "renew": lambda text: renew_policy(text, NOW, NOW + timedelta(days=700)),
    "pin a ledger": lambda text: pin_ledger(
        text, LedgerPin("lab", LOG_KEY, (WITNESS_LINE,), ("alice", "bob"))
    ),
}


def comments(text: str) -> list[str]:
    return re.findall(r"#.*", text)


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_an_edit_keeps_every_comment_and_counts_the_version_up(
    edit: Callable[[str], str], newline: str
) -> None:
    text = edit(TEXT.replace("\n", newline))
    assert comments(text.replace("\r\n", "\n")) == comments(TEXT)
    assert text.count("\n") == text.count(newline)
    before, after = read_policy(TEXT.encode()), read_policy(text.encode())
    assert after.version == before.version + 1
    assert after.expires == before.expires or edit is EDITS["renew"]
    assert after != replace(before, version=after.version)


def test_adding_a_key_names_it_in_the_rule_of_each_of_its_roles() -> None:
    before, after = read_policy(TEXT.encode()), read_policy(add_key(TEXT, CAROL).encode())
    assert after.keys == {**before.keys, "carol": CAROL}
    assert {role: rule.threshold for role, rule in after.rules.items()} == {
        "lock": 1,
        "result": 2,
        "reproduction": 1,
    }
    assert all("carol" in rule.members for rule in after.rules.values())


def test_adding_a_key_for_one_role_gives_it_that_role_alone() -> None:
    policy = read_policy(EDITS["add for one role"](TEXT).encode())
    assert [role for role, rule in policy.rules.items() if "carol" in rule.members] == ["reproduction"]


def test_what_was_said_of_a_key_when_it_was_added_is_read_back() -> None:
    key = read_policy(EDITS["add with terms"](TEXT).encode()).keys["carol"]
    assert (key.valid_from, key.valid_until) == (NOW, NOW + timedelta(days=9))
    assert key.builders == {"a", "b"}


def test_keys_can_be_added_to_a_first_policy_one_after_the_other() -> None:
    text = initial_policy("default", ALICE.public, NOW)
    for name, signer in {"bob": BOB, "mallory": MALLORY}.items():
        text = add_key(text, TrustedKey(name, signer.public, frozenset(EVIDENCE_ROLES)))
    policy = read_policy(text.encode())
    assert policy.version == 3
    assert all(rule.members == {"default", "bob", "mallory"} for rule in policy.rules.values())


@pytest.mark.parametrize(("name", "signer"), [("carol", ALICE), ("alice", MALLORY), ("ca rol", MALLORY)])
def test_a_known_key_or_a_taken_or_odd_name_is_not_added(name: str, signer: object) -> None:
    with pytest.raises(MalformedError):
        add_key(TEXT, replace(CAROL, name=name, public=signer.public))  # type: ignore[attr-defined]


def test_a_root_key_is_not_added_to_a_policy_that_is_not_signed() -> None:
    with pytest.raises(MalformedError) as caught:
        add_key(TEXT, replace(CAROL, roles=frozenset({"root"})))
    assert caught.value.code == "policy-not-signed"


def test_a_revocation_is_changed_in_place_but_never_softened() -> None:
    text = revoke_key(TEXT, "alice", "superseded", NOW)
    earlier = NOW - timedelta(days=9)
    key = read_policy(revoke_key(text, "alice", "key-compromise", earlier).encode()).keys["alice"]
    assert (key.reason, key.revoked_from) == ("key-compromise", earlier)
    with pytest.raises(MalformedError) as caught:
        revoke_key(revoke_key(text, "alice", "key-compromise", earlier), "alice", "superseded", NOW)
    assert caught.value.code == "key-revoked"


def test_what_a_policy_says_already_is_not_said_again() -> None:
    text = revoke_key(TEXT, "alice", "superseded", NOW)
    later = NOW + timedelta(days=1)
    assert revoke_key(text, "alice", "superseded", later) == text
    assert revoke_key(text, "alice", "superseded", later, NOW) == text
    earlier = NOW - timedelta(days=1)
    moved = read_policy(revoke_key(text, "alice", "superseded", NOW, earlier).encode())
    assert moved.keys["alice"].revoked_from == earlier.replace(microsecond=0)
    with pytest.raises(MalformedError, match="a later time would trust it again"):
        revoke_key(text, "alice", "superseded", NOW, later)
    rule = read_policy(text.encode()).rules["result"]
    same = RuleChange(rule.threshold, tuple(rule.members))
    assert change_rule(text, "result", same) == text


@pytest.mark.parametrize("name", ["zoe", "", "Alice", "a\nb"])
def test_a_name_that_no_key_has_is_an_error_that_lists_them(name: str) -> None:
    with pytest.raises(MalformedError) as caught:
        revoke_key(TEXT, name, "superseded", NOW)
    assert "alice, bob" in (caught.value.context or "")
    with pytest.raises(MalformedError):
        change_rule(TEXT, "result", RuleChange(members=(name,)))


def test_a_rule_gives_whom_it_names_the_role() -> None:
    policy = read_policy(EDITS["make a rule"](TEXT).encode())
    assert policy.rules["root"].members == {"alice", "bob"}
    assert policy.rules["root"].threshold == 2
    assert all("root" in policy.keys[name].roles for name in ("alice", "bob"))


@pytest.mark.parametrize(
    ("role", "change"),
    [
        ("result", RuleChange(threshold=3)),
        ("reproduction", RuleChange(threshold=1)),
        ("lock", RuleChange(max_age="1d")),
        ("result", RuleChange(max_age="soon")),
    ],
)
def test_a_rule_that_cannot_be_met_is_refused(role: Role, change: RuleChange) -> None:
    with pytest.raises(MalformedError):
        change_rule(TEXT, role, change)


@pytest.mark.parametrize(
    ("old", "new", "edit"),
    [
        ('from = ["alice"]', 'from = ["alice"]\n[rules]', "change a threshold"),
        ("version = 3", "version = 0x03", "add"),
        ('[rules.lock]\nthreshold = 1\nfrom = ["alice"]', "rules.lock.threshold = 1", "add"),
    ],
)
def test_a_policy_that_is_laid_out_oddly_is_edited_rightly_or_left_alone(
    old: str, new: str, edit: str
) -> None:
    assert old in TEXT
    try:
        text = EDITS[edit](TEXT.replace(old, new))
    except EvalctlError as error:
        assert isinstance(error, MalformedError)
    else:
        assert read_policy(text.encode()).version == 4


def test_a_policy_in_inline_tables_is_left_alone() -> None:
    text = (
        "version = 3\nexpires = 2027-06-01T00:00:00Z\nkeys = { alice = { public = "
        f'"{ALICE.public.openssh}", roles = ["lock"] }} }}\n[rules.lock]\nthreshold = 1\nfrom = ["alice"]\n'
    )
    assert read_policy(text.encode()).version == 3
    for edit in (EDITS["add"], EDITS["revoke"]):
        with pytest.raises(MalformedError) as caught:
            edit(text)
        assert caught.value.code == "policy-not-editable"


REMARKS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"))).map(lambda text: f"# {text}")
)


@given(REMARKS, st.lists(st.sampled_from(sorted(EDITS)), unique=True, max_size=4), st.data())
def test_remarks_anywhere_survive_any_edits(
    remarks: list[str], names: list[str], data: st.DataObject
) -> None:
    lines = TEXT.splitlines()
    for remark in remarks:
        lines.insert(data.draw(st.integers(0, len(lines))), remark)
    text = "\n".join(lines) + "\n"
    before = comments(text)
    done = 0
    for name in names:
        try:
            before_it, text = text, EDITS[name](text)
            done += text != before_it
        except MalformedError as error:
            assert error.code in {"key-known", "malformed-policy", "no-such-name", "threshold"}, error
    assert comments(text) == before
    assert read_policy(text.encode()).version == 3 + done


@given(st.text() | st.text().map(lambda text: TEXT + text))
def test_whatever_text_is_edited_only_our_error_is_raised(text: str) -> None:
    for edit in EDITS.values():
        try:
            edited = edit(text)
        except EvalctlError:
            continue
        assert read_policy(edited.encode()).version == read_policy(text.encode()).version + 1


def test_a_first_policy_of_a_signed_kind_names_its_key_as_root() -> None:
    key = TrustedKey("alice", ALICE.public, frozenset((*EVIDENCE_ROLES, "root")))
    policy = read_policy(first_policy(key, datetime(2026, 1, 1, tzinfo=UTC)).encode())
    assert policy.keys == {"alice": key}
    assert set(policy.rules) == {*EVIDENCE_ROLES, "root"}


def test_a_threshold_beyond_the_keys_that_may_sign_is_refused_by_name() -> None:
    with pytest.raises(MalformedError, match="`result` cannot take 3 of 2") as caught:
        change_rule(TEXT, "result", RuleChange(threshold=3))
    assert caught.value.code == "threshold"


def test_a_key_that_was_revoked_is_not_added_again_and_the_reason_is_told() -> None:
    revoked = revoke_key(add_key(TEXT, CAROL), "carol", "key-compromise", NOW)
    with pytest.raises(MalformedError) as caught:
        add_key(revoked, CAROL)
    assert "revoked: key-compromise" in str(caught.value.context)
