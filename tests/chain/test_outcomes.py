"""A reproduction's own bundle, held against what was stated of it."""

import json
from pathlib import Path
from typing import Any

from tests.chain.people import reproduced, signed_again, trust, verified
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld


def test_a_reproduction_s_own_bundle_is_held_against_what_was_stated(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    trust(evalctl, keys["bob"], keys["carol"])
    statement = reproduced(evalctl, world, original, keys["bob"])
    (counted,) = verified(evalctl, original)["reproductions"]
    outcome = world.home.bundle(counted["bundle"])
    assert "were not looked at" not in evalctl("verify", original, "--with", outcome).out
    (check,) = outcomes(verified(evalctl, original, "--with", outcome))
    assert (check["status"], "what bob states follows" in check["detail"]) == ("ok", True)
    assert evalctl("verify", original, "--with", original).code == 2

    lies: list[tuple[dict[str, Any], str]] = [
        ({"verdict": "inconclusive"}, "does not follow"),
        ({"samples": ("40", "39"), "verdict": "equivalent", "metrics": ()}, "does not follow"),
        ({"environment": {"kernel": "4.4"}}, "kind is not what the bundle has signed"),
    ]
    honest = statement.read_bytes()
    for changes, reason in lies:
        statement.write_bytes(honest)
        statement.write_bytes(signed_again(statement, keys["bob"], **changes))
        (check,) = outcomes(verified(evalctl, original, "--with", outcome))
        assert (check["status"], reason in check["detail"]) == ("failed", True), changes
        assert evalctl("verify", original, "--with", outcome).code == 1
        assert evalctl("verify", original).code == 0
    statement.write_bytes(honest)
    statement.write_bytes(signed_again(statement, keys["carol"]))
    (check,) = outcomes(verified(evalctl, original, "--with", outcome))
    assert (check["status"], "under the key of `carol`" in check["detail"]) == ("failed", True)


def outcomes(answer: Any) -> list[Any]:
    return [check for check in answer["checks"] if check["name"].startswith("outcome:")]


def test_what_a_reproduction_ran_must_be_a_bundle(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path], tmp_path: Path
) -> None:
    assert evalctl("verify", original, "--with", tmp_path).code == 1
    assert evalctl("verify", original, "--with", tmp_path / "absent").code == 2


def test_what_was_stated_of_the_whole_bundle_is_not_held_against_a_redacted_one(
    world: SmallWorld, evalctl: Evalctl, keys: dict[str, Path]
) -> None:
    world.write(tail="[bundle]\nredactable = true\n")
    original = Path(json.loads(evalctl("launch", world.file, "--json").out)["bundle"])
    trust(evalctl, *keys.values())
    reproduced(evalctl, world, original, keys["bob"])
    redacted = world.root / "redacted"
    assert evalctl("redact", original, "--withhold", "predictions", "--out", redacted).code == 0
    reproduced(evalctl, world, redacted, keys["carol"])
    answer = verified(evalctl, redacted)
    assert answer["reproduced"]["keys"] == 2
    ran = {item["name"]: world.home.bundle(item["bundle"]) for item in answer["reproductions"]}
    checks = outcomes(verified(evalctl, redacted, "--with", ran["bob"], "--with", ran["carol"]))
    assert sorted(check["status"] for check in checks) == ["ok", "skipped"]
