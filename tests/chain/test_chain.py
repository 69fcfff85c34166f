"""The chain of evidence behind a bundle: reproductions by several keys, and what counts of them."""

import json
import platform
from pathlib import Path

import pytest

from launcher.environment.facts import read_environment
from launcher.spec.machine_kind import machine_kind
from tests.chain.people import contents_of, key_of, on_kernel, reproduced, signed_again, trust, verified
from tests.conftest import Evalctl
from tests.fakes.forgery import copy_of
from tests.fakes.real_world import SCRIPT, RealWorld
from tests.fakes.world import SmallWorld, answering


def test_three_keys_on_two_kinds_of_machine_are_counted_as_that(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    statements = []
    for name, kernel in (("bob", "6.1.0"), ("carol", "6.1.0"), ("dave", "6.12.0")):
        on_kernel(world, kernel)
        mine = copy_of(original, world.root / f"copy-of-{name}")
        statements.append(reproduced(evalctl, world, mine, keys[name]))
    assert verified(evalctl, original)["reproduced"]["keys"] == 0

    trust(evalctl, *keys.values())
    done = evalctl("attach", original, *statements)
    assert (done.code, done.out.count("reproduction, by")) == (0, 3), done.err
    answer = verified(evalctl, original)
    assert (answer["reproduced"]["keys"], answer["reproduced"]["machine_kinds"]) == (3, 2)
    assert {item["name"] for item in answer["reproductions"]} == {"bob", "carol", "dave"}
    assert {item["environment"]["kernel"] for item in answer["reproductions"]} == {"6.1.0", "6.12.0"}
    assert "reproduced by 3 keys on 2 machine kinds" in evalctl("verify", original).out
    assert "reproduced by 3 keys on 2 machine kinds" in evalctl("report", original).out


def test_one_key_many_times_on_one_machine_counts_once(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    trust(evalctl, keys["bob"])
    for _ in range(2):
        reproduced(evalctl, world, original, keys["bob"])
    said = verified(evalctl, original)["reproduced"]
    assert (said["keys"], said["machine_kinds"]) == (1, 1)


def test_one_key_on_two_kinds_of_machine_is_one_key(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    trust(evalctl, keys["bob"])
    for kernel in ("6.1.0", "6.12.0"):
        on_kernel(world, kernel)
        reproduced(evalctl, world, original, keys["bob"])
    said = verified(evalctl, original)["reproduced"]
    assert (said["keys"], said["machine_kinds"]) == (1, 2)
    assert "reproduced by 1 key on 2 machine kinds" in evalctl("show", original).out


def test_a_key_that_signs_what_another_ran_has_not_run_it_again(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    trust(evalctl, keys["bob"], keys["carol"])
    statement = reproduced(evalctl, world, original, keys["bob"])
    copied = statement.with_name("reproduction-mine.sigstore.json")
    copied.write_bytes(signed_again(statement, keys["carol"], environment={"kernel": "another"}))
    answer = verified(evalctl, original)
    assert answer["verdict"] == "verified"
    assert (answer["reproduced"]["keys"], answer["reproduced"]["machine_kinds"]) == (1, 1)


def test_what_came_out_otherwise_is_said_as_loudly(
    world: SmallWorld, evalctl: Evalctl, keys: dict[str, Path]
) -> None:
    world.write(run='command = ["answer"]\ndeterminism = "sample"')
    original = Path(json.loads(evalctl("launch", world.file, "--json").out)["bundle"])
    trust(evalctl, *keys.values())
    reproduced(evalctl, world, original, keys["bob"])
    world.plays(answering(lambda _, sample: {**sample, "prediction": 9}))
    reproduced(evalctl, world, original, keys["carol"])
    world.plays(lambda _: 3)
    reproduced(evalctl, world, original, keys["dave"])
    said = "reproduced by 1 key on 1 machine kind; diverged for 2 keys"
    assert said in evalctl("verify", original).out
    page = evalctl("report", original).out
    assert said in page
    assert "Launched again, it did not come out the same" in page
    assert page == evalctl("report", original).out


def test_the_maker_s_own_reproduction_does_not_count_but_its_divergence_is_said(
    world: SmallWorld, evalctl: Evalctl, original: Path
) -> None:
    reproduced(evalctl, world, original, world.home.default_key)
    assert "identical by the same key: does not count" in evalctl("verify", original).out
    answer = verified(evalctl, original)["reproduced"]
    assert (answer["keys"], answer["same_key"]) == (0, ["identical"])


def test_a_co_signer_s_reproduction_still_counts(
    world: SmallWorld, evalctl: Evalctl, original: Path, keys: dict[str, Path]
) -> None:
    trust(evalctl, keys["bob"])
    assert evalctl("sign", original, "--key", keys["bob"]).code == 0
    reproduced(evalctl, world, original, keys["bob"])
    assert verified(evalctl, original)["reproduced"]["keys"] == 1


def test_show_and_list_say_what_this_machine_counts(
    world: SmallWorld, evalctl: Evalctl, keys: dict[str, Path]
) -> None:
    original = world.launch().bundle
    assert "beside" not in evalctl("show", original).out
    reproduced(evalctl, world, original, keys["bob"])
    assert "1 statement of reproductions not counted" in evalctl("show", original).out
    trust(evalctl, keys["bob"])
    said = "reproduced by 1 key on 1 machine kind"
    shown = evalctl("show", original).out
    assert said in shown
    assert "Only the reproductions were checked here" in shown
    assert f"{original.name[:12]}: {said}" in evalctl("list").out
    assert json.loads(evalctl("show", original, "--json").out)["reproduced"]["keys"] == 1
    listed = json.loads(evalctl("list", "--json").out)["attempts"]
    assert [item["reproduced"] and item["reproduced"]["keys"] for item in listed] == [1, None]

    (statement,) = (original / "attestations").glob("reproduction-*")
    statement.write_bytes(b"{}")
    for command in (("show", original), ("list",)):
        done = evalctl(*command)
        assert (done.code, "attestations that do not stand" in done.out) == (0, True)


@pytest.mark.engine
def test_a_real_reproduction_says_what_kind_of_machine_it_ran_on(real: RealWorld) -> None:
    real.write(SCRIPT.removeprefix("sleep 2\n"))
    original = Path(real.launched()["bundle"])
    bob = key_of(real.world, "bob")
    options = ("--blueprint-dir", str(real.world.folder), "--key", str(bob), "--json")
    again = json.loads(real.evalctl("reproduce", str(original), *options).out)
    assert real.evalctl("trust", "add", f"{bob}.pub").code == 0
    answer = json.loads(real.evalctl("verify", str(original), "--json").out)
    assert (answer["reproduced"]["keys"], answer["reproduced"]["machine_kinds"]) == (1, 1)

    facts = read_environment((Path(again["bundle"]) / "environment.json").read_bytes())
    (counted,) = answer["reproductions"]
    kind = counted["environment"]
    assert kind == machine_kind(facts)
    assert (kind["kernel"], kind["machine"]) == (platform.release(), platform.machine())
    assert kind["engine"].startswith("docker ")
    said = json.dumps(kind)
    assert platform.node() not in said
    assert str(real.world.root) not in said


def test_a_redacted_bundle_is_co_signed_and_reproduced_as_any_other(
    world: SmallWorld, evalctl: Evalctl, keys: dict[str, Path]
) -> None:
    world.write(tail="[bundle]\nredactable = true\n")
    original = Path(json.loads(evalctl("launch", world.file, "--json").out)["bundle"])
    trust(evalctl, keys["bob"], keys["carol"])
    reproduced(evalctl, world, original, keys["bob"])
    redacted = world.root / "redacted"
    assert evalctl("redact", original, "--withhold", "predictions", "--out", redacted).code == 0
    assert evalctl("sign", redacted, "--key", keys["carol"]).code == 0
    answer = verified(evalctl, redacted)
    assert (answer["verdict"], answer["reproduced"]["keys"]) == ("verified", 1)
    assert len(answer["signers"]) == 2
    elsewhere = copy_of(redacted, world.root / "elsewhere")
    for path in (redacted / "attestations").glob(f"*.{'?' * 64}.*"):
        path.unlink()
    files = sorted((elsewhere / "attestations").glob(f"*.{'?' * 64}.*"))
    assert (evalctl("attach", redacted, *files).code, len(files)) == (0, 3)
    assert contents_of(redacted) == contents_of(elsewhere)
