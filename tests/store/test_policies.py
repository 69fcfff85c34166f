"""Policies on disk: what is remembered, what is written in which order, and what a crash leaves."""

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from launcher.errors import EvalctlError, MalformedError, TrustError
from launcher.spec.roles import EVIDENCE_ROLES
from launcher.store.home import Home
from launcher.store.policies import PolicyPlace, accept, place_of, read_offered, read_seen
from launcher.store.policy_changes import change, create, install, sign
from launcher.trust.key_files import FileSigner
from launcher.trust.policy import TrustedKey
from launcher.trust.policy_edit import add_key, first_policy
from launcher.trust.policy_file import read_policy
from launcher.trust.policy_rules import RuleChange, change_rule
from launcher.trust.sigstore import seal_payload
from tests.trust.sealed_bundle import ALICE, BOB, MALLORY, NOW, ed25519_signer

ROOTED = TrustedKey("alice", ALICE.public, frozenset((*EVIDENCE_ROLES, "root")))
PLAIN = TrustedKey("alice", ALICE.public, frozenset(EVIDENCE_ROLES))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def first(key: TrustedKey) -> Callable[[int], str]:
    return lambda version: first_policy(key, NOW, version)


def signed_by(place: PolicyPlace, *signers: FileSigner) -> None:
    for signer in signers:
        sign(place, signer, NOW)


def named(name: str, number: int) -> TrustedKey:
    return TrustedKey(name, ed25519_signer(number).public, frozenset(EVIDENCE_ROLES))


def version_of(place: PolicyPlace) -> int:
    return read_policy(place.path.read_bytes()).version


def code_of(place: PolicyPlace) -> str | None:
    """Return why what lies at `place` does not count, None where it does."""
    try:
        accept(place, read_offered(place), NOW)
    except EvalctlError as error:
        return error.code
    return None


def signature_files(place: PolicyPlace) -> list[str]:
    return sorted(path.name for path in place.path.parent.glob("*.sigstore.json"))


@pytest.fixture
def signed(home: Home) -> PolicyPlace:
    """Return the place of a signed policy of version 1, which counted."""
    place = place_of(home)
    accept(place, create(place, first(ROOTED), ALICE, NOW), NOW)
    return place


def test_what_counted_once_is_remembered_and_an_older_one_refused(home: Home) -> None:
    place = place_of(home)
    old = create(place, first(PLAIN), None, NOW)
    assert accept(place, old, NOW) is None
    change(place, lambda text: add_key(text, named("bob", 2)), lambda: None, NOW)
    assert code_of(place) is None
    place.path.write_bytes(old.data)
    assert code_of(place) == "policy-rollback"
    place.path.write_bytes(old.data.replace(b"version = 1", b"version = 9"))
    assert code_of(place) is None
    assert read_seen(place) == read_offered(place)


def test_a_policy_elsewhere_is_remembered_under_the_path_that_was_typed(home: Home, tmp_path: Path) -> None:
    newer, older = tmp_path / "newer.toml", tmp_path / "older.toml"
    older.write_text(first_policy(PLAIN, NOW, 3))
    newer.write_text(first_policy(PLAIN, NOW, 4))
    link = tmp_path / "site.toml"
    link.symlink_to(newer)
    place = place_of(home, link)
    assert code_of(place) is None
    link.unlink()
    link.symlink_to(older)
    assert code_of(place) == "policy-rollback"
    link.unlink()
    link.write_bytes(older.read_bytes())
    assert code_of(place) == "policy-rollback"
    assert code_of(place_of(home, tmp_path / "x" / ".." / "site.toml")) == "no-such-file"
    (tmp_path / "x").mkdir()
    assert code_of(place_of(home, tmp_path / "x" / ".." / "site.toml")) == "policy-rollback"
    assert code_of(place_of(home, older)) is None, "another path is a policy that was never seen"


def test_the_home_s_own_policy_is_one_place_however_it_is_named(home: Home) -> None:
    assert place_of(home, home.trust).memory == place_of(home).memory
    assert place_of(home, home.root / "other.toml").memory != place_of(home).memory


def test_a_home_that_takes_nothing_lets_a_policy_count_and_says_so(tmp_path: Path) -> None:
    policy = tmp_path / "site.toml"
    policy.write_text(first_policy(PLAIN, NOW))
    place = place_of(Home(Path("/proc/evalctl")), policy)
    remark = accept(place, read_offered(place), NOW)
    assert remark is not None
    assert "an older one will not be noticed" in remark
    assert "first one seen" not in remark


def test_a_damaged_memory_is_an_error_not_a_fresh_start(home: Home) -> None:
    place = place_of(home)
    accept(place, create(place, first(PLAIN), None, NOW), NOW)
    place.memory.write_bytes(b"version = ")
    assert code_of(place) == "home-not-readable"


def test_the_first_signed_policy_that_is_seen_is_named_by_its_digest(home: Home, tmp_path: Path) -> None:
    elsewhere = place_of(Home(tmp_path / "other"), tmp_path / "site.toml")
    offered = create(elsewhere, first(ROOTED), ALICE, NOW)
    place = place_of(home, tmp_path / "site.toml")
    remark = accept(place, offered, NOW)
    assert remark is not None
    assert offered.digest in remark
    assert accept(place, offered, NOW) is None


def test_a_signed_policy_needs_its_signature_beside_it(signed: PolicyPlace) -> None:
    assert signature_files(signed) == ["trust.toml.sigstore.json"]
    assert code_of(signed) is None
    signed.signature().unlink()
    assert code_of(signed) == "policy-not-signed"


def test_a_root_key_s_edit_is_signed_and_another_s_is_not(signed: PolicyPlace) -> None:
    change(signed, lambda text: add_key(text, named("bob", 2)), lambda: ALICE, NOW)
    assert (version_of(signed), code_of(signed)) == (2, None)
    assert signature_files(signed) == ["trust.toml.sigstore.json"]
    change(signed, lambda text: add_key(text, named("carol", 5)), lambda: MALLORY, NOW)
    assert (version_of(signed), code_of(signed)) == (3, "policy-not-signed")
    assert signature_files(signed) == []
    signed_by(signed, ALICE)
    assert code_of(signed) is None


def test_an_edit_signs_nothing_that_somebody_else_put_there(signed: PolicyPlace) -> None:
    text = add_key(signed.path.read_text(), named("mallory", 3))
    signed.path.write_text(text)
    change(signed, lambda text: add_key(text, named("bob", 2)), lambda: ALICE, NOW)
    assert (version_of(signed), code_of(signed)) == (3, "policy-not-signed")
    assert signature_files(signed) == []


def test_an_edit_of_what_the_same_key_signed_is_signed_though_others_are_awaited(signed: PolicyPlace) -> None:
    change(signed, lambda text: add_key(text, named("bob", 2)), lambda: ALICE, NOW)
    change(signed, lambda text: change_rule(text, "root", RuleChange(2, ("bob",))), lambda: ALICE, NOW)
    change(signed, lambda text: add_key(text, named("carol", 5)), lambda: ALICE, NOW)
    assert code_of(signed) == "policy-not-signed"
    assert signature_files(signed) == ["trust.toml.sigstore.json"]
    signed_by(signed, BOB)
    assert code_of(signed) is None


def test_a_policy_that_was_put_back_is_not_signed_again(signed: PolicyPlace) -> None:
    old = signed.path.read_bytes()
    change(signed, lambda text: add_key(text, named("bob", 2)), lambda: ALICE, NOW)
    signed.path.write_bytes(old)
    with pytest.raises(TrustError) as caught:
        sign(signed, ALICE, NOW)
    assert caught.value.code == "policy-rollback"


def test_a_threshold_is_met_by_signatures_in_files_of_their_own(signed: PolicyPlace) -> None:
    both = RuleChange(2, ("bob",))
    change(signed, lambda text: add_key(text, named("bob", 2)), lambda: ALICE, NOW)
    change(signed, lambda text: change_rule(text, "root", both), lambda: ALICE, NOW)
    assert code_of(signed) == "policy-not-signed"
    signed_by(signed, BOB)
    assert code_of(signed) is None
    assert signature_files(signed) == [
        f"trust.toml.{BOB.public.key_hex}.sigstore.json",
        "trust.toml.sigstore.json",
    ]


def test_only_a_root_key_signs(signed: PolicyPlace) -> None:
    with pytest.raises(MalformedError) as caught:
        sign(signed, MALLORY, NOW)
    assert caught.value.code == "not-a-root-key"
    assert signature_files(signed) == ["trust.toml.sigstore.json"]


def test_the_root_that_leaves_signs_the_version_in_which_it_does(signed: PolicyPlace) -> None:
    text = first_policy(replace(ROOTED, name="bob", public=BOB.public), NOW, 2)
    signed.path.write_text(text)
    signed_by(signed, BOB)
    assert code_of(signed) == "policy-not-signed"
    signed_by(signed, ALICE)
    assert code_of(signed) is None
    change(signed, lambda text: text.replace("version = 2", "version = 3"), lambda: BOB, NOW)
    assert code_of(signed) is None


def test_a_policy_that_was_signed_is_not_replaced_by_an_unsigned_one(signed: PolicyPlace) -> None:
    signed.path.write_text(first_policy(PLAIN, NOW, 9))
    assert code_of(signed) == "policy-downgrade"
    signed.path.unlink()
    with pytest.raises(TrustError) as caught:
        create(signed, first(PLAIN), None, NOW)
    assert caught.value.code == "policy-downgrade"
    assert not signed.path.exists()


def test_a_first_policy_overwrites_nothing_and_follows_what_was_seen(home: Home) -> None:
    place = place_of(home)
    create(place, first(PLAIN), None, NOW)
    before = place.path.read_bytes()
    with pytest.raises(MalformedError) as caught:
        create(place, first(ROOTED), ALICE, NOW)
    assert caught.value.code == "file-exists"
    assert place.path.read_bytes() == before
    accept(place, read_offered(place), NOW)
    place.path.unlink()
    assert create(place, first(PLAIN), None, NOW).policy.version == 2


def test_a_dangling_link_is_not_overwritten_by_a_first_policy(home: Home) -> None:
    home.root.mkdir()
    home.trust.symlink_to(home.root / "nowhere")
    with pytest.raises(MalformedError):
        create(place_of(home), first(PLAIN), None, NOW)


def test_an_edit_of_a_linked_policy_changes_the_file_behind_the_link(home: Home, tmp_path: Path) -> None:
    home.root.mkdir()
    (tmp_path / "kept.toml").write_text(first_policy(PLAIN, NOW))
    home.trust.symlink_to(tmp_path / "kept.toml")
    change(place_of(home), lambda text: add_key(text, named("bob", 2)), lambda: None, NOW)
    assert home.trust.is_symlink()
    assert version_of(place_of(home)) == 2


def test_an_edit_of_a_policy_that_was_put_back_is_refused(home: Home) -> None:
    place = place_of(home)
    old = create(place, first(PLAIN), None, NOW)
    change(place, lambda text: add_key(text, named("bob", 2)), lambda: None, NOW)
    accept(place, read_offered(place), NOW)
    place.path.write_bytes(old.data)
    with pytest.raises(TrustError) as caught:
        change(place, lambda text: add_key(text, named("carol", 5)), lambda: None, NOW)
    assert caught.value.code == "policy-rollback"
    assert place.path.read_bytes() == old.data


def test_edits_at_once_lose_nothing(home: Home) -> None:
    place = place_of(home)
    create(place, first(PLAIN), None, NOW)
    faults: list[EvalctlError] = []

    def add(number: int) -> None:
        try:
            change(place, lambda text: add_key(text, named(f"k{number}", number)), lambda: None, NOW)
        except EvalctlError as error:
            faults.append(error)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(10, 22)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    policy = read_policy(place.path.read_bytes())
    assert policy.version == 13
    assert policy.keys.keys() == {"alice", *(f"k{number}" for number in range(10, 22))}
    assert code_of(place) is None
    assert [path.name for path in place.path.parent.iterdir()] in (
        ["trust.toml", "policies"],
        ["policies", "trust.toml"],
    )


def test_a_crash_before_the_policy_is_written_leaves_the_old_one_in_force(signed: PolicyPlace) -> None:
    """The next version's signature lies there already."""
    later = read_offered(signed)
    text = add_key(later.data.decode(), named("bob", 2)).encode()
    payload = replace(later, data=text, policy=read_policy(text)).payload
    signed.signature(ALICE.public.key_hex).write_bytes(seal_payload(payload, ALICE))
    assert (version_of(signed), code_of(signed)) == (1, None)
    change(signed, lambda old: add_key(old, named("carol", 5)), lambda: ALICE, NOW)
    assert code_of(signed) is None
    assert signature_files(signed) == ["trust.toml.sigstore.json"]


def test_a_crash_after_the_policy_is_written_leaves_the_new_one_in_force(signed: PolicyPlace) -> None:
    """The old version's signature still lies under the plain name."""
    old = signed.signature().read_bytes()
    change(signed, lambda text: add_key(text, named("bob", 2)), lambda: ALICE, NOW)
    signed.signature().rename(signed.signature(ALICE.public.key_hex))
    signed.signature().write_bytes(old)
    assert (version_of(signed), code_of(signed)) == (2, None)
    sign(signed, ALICE, NOW)
    assert signature_files(signed) == ["trust.toml.sigstore.json"]
    assert signed.signature().read_bytes() != old


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff" * 100, b"[" * 100_000])
def test_a_malformed_signature_beside_a_signed_policy_is_named(signed: PolicyPlace, data: bytes) -> None:
    bad = signed.signature(BOB.public.key_hex)
    bad.write_bytes(data)
    with pytest.raises(MalformedError) as caught:
        read_offered(signed)
    assert caught.value.code == "bad-policy-signature"
    assert bad.name in caught.value.message


def test_a_signature_under_another_key_s_name_is_named(signed: PolicyPlace) -> None:
    signed.signature(BOB.public.key_hex).write_bytes(signed.signature().read_bytes())
    assert code_of(signed) == "bad-policy-signature"


def test_a_pipe_in_a_signature_s_place_does_not_hang(signed: PolicyPlace) -> None:
    os.mkfifo(signed.signature(BOB.public.key_hex))
    assert code_of(signed) == "bad-policy-signature"


def test_more_signatures_than_are_looked_at_are_refused(signed: PolicyPlace) -> None:
    policy = read_offered(signed)
    for number in range(64):
        signer = ed25519_signer(100 + number)
        signed.signature(signer.public.key_hex).write_bytes(seal_payload(policy.payload, signer))
    assert code_of(signed) == "bad-policy-signature"


def test_a_policy_is_installed_with_the_signatures_that_count(
    home: Home, signed: PolicyPlace, tmp_path: Path
) -> None:
    other = place_of(Home(tmp_path / "node"))
    stray = place_of(home).signature(BOB.public.key_hex)
    stray.write_bytes(seal_payload(b"{}", BOB))
    digest = read_offered(signed).digest
    installed = install(other, signed, digest, NOW)
    assert installed.data == signed.path.read_bytes()
    assert signature_files(other) == ["trust.toml.sigstore.json"]
    assert code_of(other) is None
    assert stray.exists()


def test_a_policy_of_another_digest_is_not_installed(signed: PolicyPlace, tmp_path: Path) -> None:
    other = place_of(Home(tmp_path / "node"))
    with pytest.raises(TrustError) as caught:
        install(other, signed, "sha256:" + "0" * 64, NOW)
    assert caught.value.code == "policy-digest"
    assert not other.path.exists()


def test_what_is_installed_follows_what_was_there(signed: PolicyPlace, tmp_path: Path) -> None:
    other = place_of(Home(tmp_path / "node"))
    accept(other, install(other, signed, None, NOW), NOW)
    change(signed, lambda text: add_key(text, named("bob", 2)), lambda: None, NOW)
    before = other.path.read_bytes()
    with pytest.raises(TrustError):
        install(other, signed, None, NOW)
    assert other.path.read_bytes() == before
    sign(signed, ALICE, NOW)
    assert accept(other, install(other, signed, None, NOW), NOW) is None
    assert version_of(other) == 2


def test_an_unsigned_policy_is_not_replaced_by_what_is_installed(
    home: Home, signed: PolicyPlace, tmp_path: Path
) -> None:
    other = place_of(Home(tmp_path / "node"))
    create(other, first(PLAIN), None, NOW)
    with pytest.raises(MalformedError) as caught:
        install(other, signed, None, NOW)
    assert caught.value.code == "file-exists"


def test_an_expired_policy_is_remembered_but_trusts_nobody(home: Home) -> None:
    place = place_of(home)
    offered = create(place, first(PLAIN), None, NOW)
    late = datetime(2040, 1, 1, tzinfo=UTC)
    assert accept(place, offered, late) is None
    assert late >= offered.policy.expires
