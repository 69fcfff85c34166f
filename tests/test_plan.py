"""The plan says what a launch then does, and does none of it itself."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from launcher.engines.docker_request import container_request
from launcher.plan import PlanEdges
from launcher.plan import plan as make_plan
from launcher.report.planned import planned
from launcher.report.text import amount
from launcher.runs.request import GpuSight, LaunchRequest
from launcher.sources.inputs import FetchSettings
from launcher.spec.plan import Plan
from launcher.store.home import Home
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld

REMOTE = 'name = "items"\nuri = "https://example.org/items"\nsha256 = "{items}"'


def plan_of(world: SmallWorld, *, home: Home | None = None, **request: Any) -> Plan:
    blueprint = request.pop("blueprint", None) or world.read()
    settings = request.pop("settings", world.settings)
    gpus = request.pop("gpus", GpuSight())
    edges = PlanEdges(home or world.home, lambda: world.engine, world.signer, gpus)
    return make_plan(LaunchRequest(blueprint, settings, **request), edges)


def named(plan: Any, name: str) -> Any:
    return next(item for item in plan["inputs"] if item["name"] == name)


def files(root: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(root.rglob("*"))}


def test_where_all_is_at_hand_the_lock_is_the_one_that_resolve_makes(world: SmallWorld) -> None:
    resolution = world.resolve()
    found = plan_of(world)
    assert found.lock == resolution.lock.digest
    assert found.to_fetch_first == ()
    assert [item.status for item in found.inputs] == ["cached", "cached"]
    assert {item.bytes_to_fetch for item in found.inputs} == {0}
    assert found.image.in_engine is False
    assert found.image.bytes_to_load == found.disk.engine
    assert found.disk.engine > 0


def test_the_container_shown_is_the_one_that_a_launch_asks_the_engine_for(world: SmallWorld) -> None:
    world.write(run='command = ["answer", "x"]\nseeds = [7, 8]\nenv = { EXTRA = "1" }')
    assert world.home.label
    found = plan_of(world)
    world.launch_read(world.read())
    task = min(world.engine.tasks, key=lambda task: task.name)
    invocation = task.labels["evalctl.attempt"]
    shown = json.dumps(found.containers[0].request).replace("INVOCATION", invocation).replace("ATTEMPT", "1")
    asked = {**container_request(task), "Image": found.containers[0].request["Image"]}
    assert json.loads(shown) == json.loads(json.dumps(asked))
    assert asked["Image"] == found.image.pins.config if found.image.pins else False


def test_a_plan_writes_nothing_and_fetches_nothing(world: SmallWorld) -> None:
    world.write(data=REMOTE)
    before = files(world.root)
    empty = Home(world.root / "elsewhere")
    found = plan_of(world, home=empty)
    assert files(world.root) == before
    assert found.lock is None
    assert found.to_fetch_first == ("the code", "`items`", "`labels`")
    assert [item.status for item in found.inputs] == ["remote", "local"]
    assert found.containers[0].environment["SOURCE_DATE_EPOCH"] == "COMMIT_TIME"
    assert found.disk.unknown == ("items", "the code")


def test_what_offline_forbids_is_said_to_be_missing(world: SmallWorld) -> None:
    world.write(data=REMOTE)
    settings = FetchSettings(world.folder, offline=True)
    found = plan_of(world, home=Home(world.root / "elsewhere"), settings=settings)
    assert found.inputs[0].status == "missing"
    assert "NOT to be had" in planned(found, str(world.home.root))


def test_a_lock_tells_its_digest_and_sizes_where_nothing_is_at_hand(world: SmallWorld) -> None:
    lock = world.resolve(data=REMOTE).lock
    settings = FetchSettings(world.root / "nowhere")
    found = plan_of(world, home=Home(world.root / "elsewhere"), settings=settings, lock=lock)
    assert found.lock == lock.digest
    assert found.inputs[0].bytes_to_fetch == (world.folder / "items.jsonl").stat().st_size
    assert found.image.places[0].status == "absent"
    assert found.image.bytes_to_load is None


def test_a_finished_run_is_named_with_what_it_took(world: SmallWorld, evalctl: Evalctl) -> None:
    launched = world.launch()
    found = plan_of(world)
    assert found.finished is not None
    assert found.finished.bundle == str(launched.bundle)
    assert found.cost is not None
    assert (found.cost.source, found.cost.runs) == ("store", 1)
    assert found.image.in_engine is True
    assert plan_of(world, rerun=True).finished is None
    shown = evalctl("plan", world.file)
    assert shown.code == 0
    assert "evalctl launch --rerun" in shown.out


def test_nothing_is_made_up_about_a_lock_that_never_ran(world: SmallWorld) -> None:
    assert plan_of(world).cost is None
    assert "not known yet" in planned(plan_of(world), str(world.home.root))


def test_a_bundle_is_planned_from_its_lock_with_its_own_cost(world: SmallWorld, evalctl: Evalctl) -> None:
    launched = world.launch()
    shown = evalctl("plan", launched.bundle, "--json")
    found = json.loads(shown.out)
    assert shown.code == 0
    assert found["lock"] == launched.lock
    assert found["cost"]["source"] == "bundle"
    assert found["cost"]["wall_seconds"][0] > 0


def test_a_bundle_without_a_sound_lock_fails_the_check(world: SmallWorld, evalctl: Evalctl) -> None:
    bundle = world.launch().bundle
    (bundle / "lock.json").write_text("{}")
    shown = evalctl("plan", bundle)
    assert shown.code == 1
    assert "holds no lock" in shown.err


def test_records_that_are_no_records_give_no_cost(world: SmallWorld, evalctl: Evalctl) -> None:
    bundle = world.launch().bundle
    for broken in (b"[]\n", b"{}\n", b'{"cpu_user_seconds": "x"}\n', b"\xff\n", b""):
        (bundle / "resources.jsonl").write_bytes(broken)
        shown = evalctl("plan", bundle, "--json")
        assert (shown.code, json.loads(shown.out)["cost"]) == (0, None)


def test_an_engine_that_does_not_answer_is_only_said(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    world.engine.reachable = False
    shown = evalctl("plan", world.file, "--json")
    found = json.loads(shown.out)
    assert (shown.code, found["engine"], found["parallel"]) == (0, None, None)
    assert "does not answer" in found["no_engine"]
    assert found["containers"][0]["request"]["HostConfig"]["ReadonlyRootfs"] is True
    assert "none answers" in evalctl("plan", world.file).out


def test_what_this_machine_cannot_give_is_named(world: SmallWorld) -> None:
    world.write(resources='cpus = 400\nmemory = "64TiB"\noutput = "16MiB"')
    found = plan_of(world)
    assert len(found.unmet) == 2
    assert planned(found, str(world.home.root)).count("UNMET") == 2


def test_a_broken_place_is_shown_and_not_raised(world: SmallWorld) -> None:
    world.write()
    digest = world.read().image.digest.removeprefix("sha256:")
    (world.folder / "image" / "blobs" / "sha256" / digest).write_text("{}")
    found = plan_of(world)
    assert found.image.places[0].status == "broken"
    assert found.to_fetch_first == ("the image",)


def test_another_lock_than_what_is_found_is_a_drift(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    assert evalctl("resolve", world.file).code == 0
    lock = world.file.with_name("blueprint.lock.json")
    assert evalctl("plan", lock).code == 0
    assert evalctl("plan", lock, "--runtime", "runsk").code == 2


def test_a_plan_fits_a_terminal(world: SmallWorld) -> None:
    world.write(run='command = ["answer", "' + "x" * 500 + '"]\nseeds = [1, 2, 3, 4, 5, 6, 7, 8, 9]')
    for found in (plan_of(world), plan_of(world, home=Home(world.root / "elsewhere"))):
        assert max(map(len, planned(found, str(world.home.root)).splitlines())) <= 80


def test_replicates_run_as_many_at_once_as_the_processors_allow(world: SmallWorld) -> None:
    world.write(run='command = ["answer"]\nseeds = [1, 2, 3]\ntimeout = "1m"', resources="cpus = 2")
    found = plan_of(world)
    assert (found.parallel, found.longest_seconds) == (2, 120)
    world.engine.facts = replace(world.engine.facts, cpus=8)
    assert plan_of(world).parallel == 3


def test_amounts_are_spelled_as_people_compare_them() -> None:
    spelled = [amount(size) for size in (0, 999, 1000, 346_900_000, 999_999_999, 5 * 10**12, None)]
    assert spelled == ["0 bytes", "999 bytes", "1 kB", "347 MB", "1 GB", "5000 GB", "unknown bytes"]


def test_a_second_container_is_planned_as_it_is_launched(world: SmallWorld) -> None:
    world.plays(lambda _: 0)
    world.plays(lambda _: 0, "score")
    world.write(score='command = ["score"]\ntimeout = "5m"\n[score.resources]\nmemory = "512MiB"\ncpus = 2')
    assert world.home.label
    found = plan_of(world)
    world.launch_read(world.read())
    invocation = world.engine.tasks[0].labels["evalctl.attempt"]
    for task, container in zip(world.engine.tasks, found.containers, strict=True):
        shown = json.dumps(container.request).replace("INVOCATION", invocation).replace("ATTEMPT", "1")
        asked = {**container_request(task), "Image": container.request["Image"]}
        assert json.loads(shown) == json.loads(json.dumps(asked))
    run, second = found.containers
    assert "/eval/inputs/labels" not in {mount.target for mount in run.mounts}
    assert {"/eval/inputs/labels", "/eval/predictions"} <= {mount.target for mount in second.mounts}
    assert (found.parallel, found.longest_seconds) == (1, 3600 + 300)
    text = planned(found, str(world.home.root))
    assert "score    score\n" in text
    assert "512MiB memory" in text
    assert max(map(len, text.splitlines())) <= 80


SLOT = '[[model]]\nname = "weights"\nslot = "candidate"\nuri = "model.bin"\nsha256 = "{digest}"\n'


def with_slot(world: SmallWorld) -> Path:
    """Give the blueprint a slot that is filled by default; return another model for it."""
    (world.folder / "model.bin").write_bytes(b"usual")
    other = world.root / "other.bin"
    other.write_bytes(b"something else")
    world.write(tail=SLOT.format(digest=sha256(b"usual").hexdigest()))
    world.resolve_file()
    return other


def test_a_limit_is_in_the_environment_and_in_the_lock(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    whole = json.loads(evalctl("plan", world.file, "--json").out)
    partial = json.loads(evalctl("plan", world.file, "--limit", "3", "--json").out)
    assert partial["lock"] not in (None, whole["lock"])
    assert partial["containers"][0]["environment"]["EVALCTL_LIMIT"] == "3"
    assert "EVALCTL_LIMIT" not in whole["containers"][0]["environment"]


def test_a_filled_slot_is_brought_here_before_its_lock_is_known(world: SmallWorld, evalctl: Evalctl) -> None:
    other = with_slot(world)
    assert json.loads(evalctl("plan", world.file, "--json").out)["lock"] is not None
    found = json.loads(evalctl("plan", world.file, "--model", f"candidate={other}", "--json").out)
    assert (found["lock"], found["to_fetch_first"]) == (None, ["`weights`"])
    assert named(found, "weights")["bytes_to_fetch"] == len(b"something else")


def test_a_lock_of_a_filled_slot_is_planned_as_it_is(world: SmallWorld, evalctl: Evalctl) -> None:
    other = with_slot(world)
    launched = evalctl("launch", world.file, "--model", f"candidate={other}", "--json")
    bundle = json.loads(launched.out)
    found = json.loads(evalctl("plan", bundle["digest"], "--json").out)
    assert (found["lock"], found["to_fetch_first"]) == (bundle["lock"], [])
    assert named(found, "weights")["sha256"] == sha256(b"something else").hexdigest()
    assert found["finished"]["bundle"] == bundle["bundle"]


def test_a_draft_has_no_lock_before_its_changes_are_read(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    found = json.loads(evalctl("plan", world.file, "--draft", "--json").out)
    assert (found["lock"], found["to_fetch_first"]) == (None, ["a draft's changes"])
    sources = {mount["target"]: mount["source"] for mount in found["containers"][0]["mounts"]}
    assert sources["/eval/code"].endswith("+PATCH/tree")


def test_what_a_lock_decides_is_not_decided_again(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    assert evalctl("resolve", world.file).code == 0
    done = evalctl("plan", world.file.with_name("blueprint.lock.json"), "--limit", "3")
    assert (done.code, "a lock is launched as it is" in done.err) == (2, True)


def test_a_folder_and_an_archive_have_their_places(world: SmallWorld) -> None:
    folder = world.folder / "many"
    folder.mkdir()
    (folder / "a").write_bytes(b"abc")
    tail = (
        f'[[data]]\nname = "many"\nuri = "many"\nsha256 = "{"0" * 64}"\n'
        f'[[data]]\nname = "zipped"\nuri = "items.jsonl"\nsha256 = "{"1" * 64}"\nunpack = "zip"\n'
        f'[[data]]\nname = "packed"\nuri = "items.jsonl"\nsha256 = "{"2" * 64}"\nunpack = "gz"\n'
    )
    world.write(tail=tail)
    found = plan_of(world)
    assert found.inputs[2].bytes_to_fetch == 3
    mounts = {mount.target: mount.source for mount in found.containers[0].mounts}
    trees = world.home.cache / "trees"
    assert mounts["/eval/inputs/many"] == str(trees / ("0" * 64) / "tree")
    assert mounts["/eval/inputs/zipped"] == str(trees / f"zip-{'1' * 64}" / "tree")
    assert mounts["/eval/inputs/packed"] == str(trees / f"gz-{'2' * 64}" / "tree" / "file")
