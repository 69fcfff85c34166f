"""A key is superseded, from the command line: what an authority proves to be from before still counts."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld
from tests.signing.authorities import TestAuthority, make_authority, served


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestAuthority]:
    with served(make_authority(tmp_path_factory.mktemp("authority"))) as authority:
        yield authority


@pytest.fixture
def stamped(world: SmallWorld, authority: TestAuthority, evalctl: Evalctl) -> Path:
    """Return a bundle of the home's key with timestamps of an authority that its policy names."""
    world.write()
    launched = evalctl("launch", world.file, "--timestamp", authority.url, "--json")
    world.home.trust.write_text(world.home.trust.read_text() + authority.table("tsa"))
    bundle = Path(json.loads(launched.out)["bundle"])
    assert evalctl("verify", bundle).code == 0
    return bundle


def code_and_reason(evalctl: Evalctl, bundle: Path, check: str = "trust:result") -> tuple[int, str]:
    done = evalctl("verify", bundle, "--json")
    return done.code, next(item["detail"] for item in json.loads(done.out)["checks"] if item["name"] == check)


def revoke(evalctl: Evalctl, name: str, reason: str, *more: str) -> None:
    done = evalctl("trust", "revoke", name, "--reason", reason, *more)
    assert done.code == 0, done.err


def test_a_launch_outlives_the_key_that_was_superseded_after_its_timestamp(
    world: SmallWorld, evalctl: Evalctl, stamped: Path
) -> None:
    bare = Path(json.loads(evalctl("launch", world.file, "--rerun", "--json").out)["bundle"])
    assert evalctl("verify", bare).code == 0
    time.sleep(1.1)
    revoke(evalctl, "me", "superseded")
    assert code_and_reason(evalctl, stamped) == (0, "signed by me")
    code, reason = code_and_reason(evalctl, bare)
    assert (code, "`me` is revoked since" in reason, "superseded" in reason) == (3, True, True)


def test_a_timestamp_from_after_the_revocation_proves_nothing(evalctl: Evalctl, stamped: Path) -> None:
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    revoke(evalctl, "me", "superseded", "--from", hour_ago)
    code, reason = code_and_reason(evalctl, stamped)
    assert (code, "`me` is revoked since" in reason) == (3, True)


def test_a_compromised_key_s_timestamps_prove_nothing(evalctl: Evalctl, stamped: Path) -> None:
    time.sleep(1.1)
    revoke(evalctl, "me", "superseded")
    assert code_and_reason(evalctl, stamped)[0] == 0
    revoke(evalctl, "me", "key-compromise")
    assert code_and_reason(evalctl, stamped) == (
        3,
        "the rule for `result` asks for 1, 0 counted; `me` is revoked: key-compromise",
    )


def test_an_authority_that_the_policy_does_not_name_proves_nothing(
    world: SmallWorld, authority: TestAuthority, evalctl: Evalctl, stamped: Path
) -> None:
    time.sleep(1.1)
    revoke(evalctl, "me", "superseded")
    text = world.home.trust.read_text()
    version = int(text.partition("version = ")[2].split()[0])
    kept = text.replace(authority.table("tsa"), "").replace(
        f"version = {version}", f"version = {version + 1}"
    )
    world.home.trust.write_text(kept)
    assert code_and_reason(evalctl, stamped)[0] == 3


def test_a_co_signature_counts_by_its_own_timestamp(
    world: SmallWorld, authority: TestAuthority, evalctl: Evalctl, stamped: Path
) -> None:
    for name in ("bob", "carol"):
        evalctl("key", "new", world.root / name)
        evalctl("trust", "add", world.root / f"{name}.pub", "--role", "result")
    evalctl("trust", "rule", "result", "--threshold", "2")
    assert evalctl("sign", stamped, "--role", "result", "--key", world.root / "bob").code == 0
    signing = ("sign", stamped, "--role", "result", "--key", world.root / "carol")
    assert evalctl(*signing, "--timestamp", authority.url).code == 0
    assert code_and_reason(evalctl, stamped) == (0, "signed by bob, carol, me")
    time.sleep(1.1)
    revoke(evalctl, "carol", "superseded")
    revoke(evalctl, "bob", "superseded")
    assert code_and_reason(evalctl, stamped) == (0, "signed by carol, me")
    revoke(evalctl, "carol", "key-compromise")
    assert code_and_reason(evalctl, stamped)[0] == 3
