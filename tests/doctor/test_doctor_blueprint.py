"""What a blueprint needs is held against what is here."""

from msgspec.structs import replace

from launcher.doctor.blueprint import blueprint_checks
from launcher.runs.request import GpuSight
from launcher.spec.gpus import GpuInventory
from launcher.spec.health import HealthCheck
from launcher.spec.plan import Plan, PlannedPlace
from launcher.store.home import Home
from tests.doctor.seen import HEALTHY, TWO, ill
from tests.fakes.world import SmallWorld
from tests.test_plan import plan_of


def judged(plan: Plan, name: str, seen: object = HEALTHY, **silent: str) -> HealthCheck:
    return next(check for check in blueprint_checks(plan, seen, silent) if check.name == name)  # type: ignore[arg-type]


def test_a_blueprint_that_would_run_passes(world: SmallWorld) -> None:
    world.write()
    checks = list(blueprint_checks(plan_of(world), HEALTHY, {}))
    assert {check.status for check in checks} == {"ok"}
    assert [check.name for check in checks][-3:] == ["data:items", "data:labels", "space"]


def test_what_the_engine_cannot_give_fails_one_by_one(world: SmallWorld) -> None:
    world.write(resources='cpus = 400\nmemory = "64TiB"\noutput = "16MiB"')
    checks = [item for item in blueprint_checks(plan_of(world), HEALTHY, {}) if item.name == "requirements"]
    assert [check.status for check in checks] == ["fail", "fail"]
    assert all(check.fix for check in checks)


def test_without_an_engine_requirements_are_not_known(world: SmallWorld) -> None:
    world.write()
    world.engine.reachable = False
    assert judged(plan_of(world), "requirements").status == "warn"


def test_memory_that_is_taken_now_warns(world: SmallWorld) -> None:
    world.write()
    for available in (1, None):
        seen = ill("machine", memory_available=available)
        assert judged(plan_of(world), "memory", seen).status == "warn"


def test_gpus_that_are_not_here_fail(world: SmallWorld) -> None:
    world.write(tail="[resources.gpu]\ncount = 2")
    here = GpuSight(lambda: GpuInventory(TWO[:1]))
    check = judged(plan_of(world, gpus=here), "gpus-wanted")
    assert (check.status, "cannot give the GPUs" in check.detail) == ("fail", True)
    check = judged(plan_of(world, gpus=GpuSight(lambda: GpuInventory(TWO))), "gpus-wanted")
    assert (check.status, check.detail) == ("ok", "would get NVIDIA A100 (GPU-0), NVIDIA A100 (GPU-1)")


def test_an_image_is_judged_by_where_it_is(world: SmallWorld) -> None:
    world.write()
    plan = plan_of(world)
    assert "to load" in judged(plan, "image").detail
    for status, verdict in (
        ("broken", "fail"),
        ("absent", "fail"),
        ("lacks it", "fail"),
        ("not asked", "warn"),
    ):
        place = PlannedPlace("oci:x", status, "why")  # type: ignore[arg-type]
        there = replace(plan, image=replace(plan.image, places=(place,)))
        assert judged(there, "image").status == verdict
    held = replace(plan, image=replace(plan.image, places=(), in_engine=True))
    assert judged(held, "image").detail == "in the engine"


def test_sources_that_are_nowhere_fail(world: SmallWorld) -> None:
    world.write(code='git = "gone.bundle"\ncommit = "{commit}"', data=None)
    plan = plan_of(world, home=Home(world.root / "elsewhere"))
    assert judged(plan, "code").status == "fail"
    assert judged(plan, "data:labels").status == "ok"
    silent = judged(plan, "data:labels", labels="nobody answers")
    assert (silent.status, "nobody answers" in silent.detail) == ("fail", True)


def test_disks_that_are_too_small_fail(world: SmallWorld) -> None:
    world.write()
    plan = plan_of(world)
    assert judged(plan, "space", ill("home", free=10)).status == "fail"
    assert judged(plan, "space", ill("engine.disk", free=10)).status == "fail"
    room = plan.disk.inputs + plan.disk.attempt
    assert judged(plan, "space", ill("home", free=room)).status == "ok"
    shared = replace(
        ill("home", free=room), engine=replace(HEALTHY.engine, disk=replace(HEALTHY.home, free=room))
    )
    assert judged(plan, "space", shared).status == "fail"
