"""A policy that asks for more than one signature under a reproduction, and the command that adds them."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from launcher.trust.key_files import new_key
from tests.conftest import Evalctl
from tests.fakes.forgery import copy_of
from tests.fakes.world import SmallWorld


@pytest.fixture
def original(world: SmallWorld, evalctl: Evalctl) -> Path:
    """Return a bundle of the home's own key, where two keys must sign a reproduction."""
    bundle = copy_of(world.launch().bundle, world.root / "published")
    for name in ("bob", "carol"):
        new_key(world.root / name)
        assert evalctl("trust", "add", world.root / f"{name}.pub").code == 0
    assert evalctl("trust", "rule", "reproduction", "--threshold", "2").code == 0
    return bundle


def reproduced(evalctl: Evalctl, world: SmallWorld, bundle: Path, name: str) -> Path:
    """Launch the lock of `bundle` again under somebody's key; return the new bundle."""
    options = ("--blueprint-dir", world.folder, "--key", world.root / name, "--json")
    return Path(json.loads(evalctl("reproduce", bundle, *options).out)["bundle"])


def keys_in(evalctl: Evalctl, bundle: Path) -> Any:
    return json.loads(evalctl("verify", bundle, "--json").out)["reproduced"]["keys"]


def signed(evalctl: Evalctl, world: SmallWorld, bundle: Path, name: str, *more: str | Path) -> Any:
    return evalctl("sign", bundle, "--role", "reproduction", "--key", world.root / name, *more)


def test_a_second_key_signs_the_statement_and_then_it_counts(
    world: SmallWorld, evalctl: Evalctl, original: Path
) -> None:
    again = reproduced(evalctl, world, original, "bob")
    before = evalctl("verify", original)
    assert "the rule for `reproduction` asks for 2, 1 counted" in " ".join(before.out.split())
    assert f"`evalctl sign {original} --role reproduction`" in before.err
    done = signed(evalctl, world, original, "carol", "--with", again, "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    (written,) = said["written"]
    assert Path(written).name.startswith("reproduction-")
    assert (said["present"], said["own"], said["remarks"]) == ([], [], [])
    assert keys_in(evalctl, original) == 1
    assert "--role reproduction" not in evalctl("verify", original).err
    assert "reproduced by 1 key" in evalctl("show", original).out
    assert "was there already" in signed(evalctl, world, original, "carol").err


def test_the_maker_s_signature_makes_no_reproduction_count(
    world: SmallWorld, evalctl: Evalctl, original: Path
) -> None:
    reproduced(evalctl, world, original, "bob")
    assert evalctl("sign", original, "--role", "reproduction").code == 0
    assert keys_in(evalctl, original) == 0


def test_it_is_signed_elsewhere_and_attached(world: SmallWorld, evalctl: Evalctl, original: Path) -> None:
    reproduced(evalctl, world, original, "bob")
    folder = world.root / "from-carol"
    assert signed(evalctl, world, original, "carol", "--out", folder).code == 0
    assert keys_in(evalctl, original) == 0
    assert evalctl("attach", original, *folder.iterdir()).out.count("co-signature, by carol") == 1
    assert keys_in(evalctl, original) == 1


def test_where_there_is_nothing_to_sign_it_is_said(
    world: SmallWorld, evalctl: Evalctl, original: Path
) -> None:
    none = signed(evalctl, world, original, "carol", "--json")
    assert (none.code, json.loads(none.err)["error"]["code"]) == (1, "no-reproduction")
    again = reproduced(evalctl, world, original, "bob")
    own = signed(evalctl, world, original, "bob", "--json")
    assert (own.code, json.loads(own.err)["error"]["code"]) == (2, "own-bundle")
    other = signed(evalctl, world, original, "carol", "--with", original)
    assert (other.code, "none that counts names those bundles" in other.err) == (1, True)
    misplaced = evalctl("sign", original, "--key", world.root / "carol", "--with", again)
    assert (misplaced.code, "evalctl sign BUNDLE --role reproduction" in misplaced.err) == (2, True)
    assert evalctl("trust", "revoke", "bob", "--reason", "key-compromise").code == 0
    assert signed(evalctl, world, original, "carol").code == 1


def test_a_statement_that_its_own_bundle_does_not_bear_out_is_not_signed(
    world: SmallWorld, evalctl: Evalctl, original: Path
) -> None:
    again = copy_of(reproduced(evalctl, world, original, "bob"), world.root / "again")
    (again / "events.jsonl").write_bytes(b"")
    done = signed(evalctl, world, original, "carol", "--with", again)
    assert (done.code, "does not verify under the key of `bob`" in done.err) == (1, True), done.err
    assert len(list((original / "attestations").glob("reproduction-*"))) == 1


def test_who_signs_in_vain_is_told_why(world: SmallWorld, evalctl: Evalctl, original: Path) -> None:
    assert evalctl("sign", original, "--key", world.root / "carol").code == 0
    assert evalctl("trust", "revoke", "carol", "--reason", "key-compromise").code == 0
    again = evalctl("sign", original, "--key", world.root / "carol")
    assert (again.code, "was there already" in again.err) == (0, True)
    assert "it does not count under the policy applied here: `carol` is revoked: key-compromise" in again.err
    new_key(world.root / "dora")
    said = json.loads(evalctl("sign", original, "--key", world.root / "dora", "--json").out)
    assert [remark.endswith("is not in the trust policy") for remark in said["remarks"]] == [True]
    unasked = evalctl(
        "sign", original, "--key", world.root / "dora", "--signer", f"{world.home.default_key}.pub"
    )
    assert "does not count under" not in unasked.err


TERMS = {
    "whom no rule names": ('from = ["me", "bob"]', 'from = ["me"]', "`bob` is not named in the rule"),
    "without the role": ('roles = ["reproduction"]', 'roles = ["lock"]', "does not have the role"),
    "revoked": (
        "# terms",
        'revoked-from = 2026-01-01T00:00:00Z\nreason = "key-compromise"',
        "`bob` is revoked: key-compromise",
    ),
    "superseded without a timestamp": (
        "# terms",
        'revoked-from = 2026-01-01T00:00:00Z\nreason = "superseded"',
        "`bob` is revoked since",
    ),
    "past its time": ("# terms", "valid-until = 2026-01-01T00:00:00Z", "`bob` was valid until"),
    "before its time": ("# terms", "valid-from = 2098-01-01T00:00:00Z", "`bob` is not valid before"),
    "on another builder": (
        "# terms",
        'builders = ["https://example.org/gpu-07"]',
        "may not sign for the builder",
    ),
    "of another type": ("# rule", 'predicate = ["https://example.org/v1"]', "does not allow"),
    "too old": ("# rule", 'max-age = "1s"', "older than the 1s"),
    "where there is no rule": (
        '[rules.reproduction]\nthreshold = 1\nfrom = ["me", "bob"]\n',
        "",
        "has no rule for `reproduction`",
    ),
}


def test_each_term_of_the_policy_holds_for_reproductions(
    world: SmallWorld, evalctl: Evalctl, original: Path
) -> None:
    reproduced(evalctl, world, original, "bob")
    time.sleep(1.1)
    me, bob = (
        " ".join(Path(f"{path}.pub").read_text().split()[:2])
        for path in (world.home.default_key, world.root / "bob")
    )
    text = f"""version = 1
expires = 2099-01-01T00:00:00Z
[keys.me]
public = "{me}"
roles = ["lock", "result", "reproduction"]
[keys.bob]
public = "{bob}"
roles = ["reproduction"]
# terms
[rules.lock]
threshold = 1
from = ["me"]
[rules.result]
threshold = 1
from = ["me"]
[rules.reproduction]
threshold = 1
from = ["me", "bob"]
# rule
"""
    policy = world.root / "policy.toml"
    policy.write_text(text)
    said = json.loads(evalctl("verify", original, "--trust", policy, "--json").out)
    assert said["reproduced"]["keys"] == 1
    for number, (case, (old, new, because)) in enumerate(TERMS.items()):
        place = world.root / f"policy-{number}.toml"
        assert old in text
        place.write_text(text.replace(old, new, 1))
        said = json.loads(evalctl("verify", original, "--trust", place, "--json").out)
        counts = said["reproduced"]
        assert (said["verdict"], counts["keys"], counts["not_counted"]) == ("verified", 0, 1), case
        (detail,) = (check["detail"] for check in said["checks"] if check["name"].startswith("reproduction-"))
        assert because in detail, case
