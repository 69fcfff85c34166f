"""Judge whether one blueprint would run here: each check a pure function of its plan and the machine."""

from collections.abc import Iterator, Mapping

from launcher.doctor.observe import Observed
from launcher.report.text import amount
from launcher.spec.health import HealthCheck, fail, ok, warn
from launcher.spec.plan import Plan, PlannedImage, PlannedInput, Unmet, Whereabouts

CODE = "code"


def blueprint_checks(plan: Plan, seen: Observed, silent: Mapping[str, str]) -> Iterator[HealthCheck]:
    """Yield every check of a blueprint; `silent` says why a server of an input (or the code) is silent."""
    yield from requirements(plan)
    yield memory(plan, seen)
    yield gpus(plan)
    yield image(plan.image)
    for name, its_image in plan.services.items():
        yield image(its_image, f"image:{name}")
    yield source(CODE, plan.code.status, plan.code.git, silent.get(CODE, ""))
    for item in plan.inputs:
        yield entry(item, silent.get(item.name, ""))
    yield space(plan, seen)


def requirements(plan: Plan) -> Iterator[HealthCheck]:
    """Yield a failure for each thing that the engine cannot give or bound."""
    if plan.engine is None:
        yield warn("requirements", "not known: no engine answers", "evalctl doctor")
    elif not plan.unmet:
        yield ok("requirements", "the engine can give and bound what it asks for")
    for unmet in plan.unmet:
        if not _is_of_gpus(unmet):
            yield fail("requirements", unmet.what, unmet.fix)


def memory(plan: Plan, seen: Observed) -> HealthCheck:
    """Judge whether the memory is there now, for as many replicates as run at once."""
    phases: dict[str, int] = {}
    for container in plan.containers:
        phases[container.phase] = phases.get(container.phase, 0) + int(container.sandbox["memory"])
    each = max(phases.values(), default=0)
    wanted, there = each * (plan.parallel or 1), seen.machine.memory_available
    if there is None:
        return warn("memory", f"{amount(wanted)} wanted; what is free cannot be read", "free -h")
    detail = f"{amount(wanted)} at most, {amount(there)} free now"
    return ok("memory", detail) if wanted <= there else warn("memory", detail, "free -h")


def gpus(plan: Plan) -> HealthCheck:
    """Judge whether there are enough GPUs."""
    if not plan.gpus:
        return ok("gpus-wanted", "none")
    lacking = [item for item in plan.gpus if not item.given]
    if lacking:
        unmet = next(filter(_is_of_gpus, plan.unmet), None)
        return fail(
            "gpus-wanted", unmet.what if unmet else lacking[0].asked, unmet.fix if unmet else "nvidia-smi"
        )
    given = ", ".join(dict.fromkeys(f"{gpu.name} ({gpu.uuid})" for item in plan.gpus for gpu in item.given))
    return ok("gpus-wanted", f"would get {given}")


def _is_of_gpus(unmet: Unmet) -> bool:
    """Say whether the check of GPUs tells it."""
    return "GPU" in unmet.what


def image(wanted: PlannedImage, name: str = "image") -> HealthCheck:
    """Judge whether an image is in the engine or at a place that can be read."""
    places = wanted.places
    broken = next((place for place in places if place.status == "broken"), None)
    if broken is not None:
        return fail(name, f"{broken.place}: {broken.detail}", "evalctl image build DIR")
    if wanted.in_engine:
        return ok(name, "in the engine")
    held = next((place for place in places if place.status == "holds it"), None)
    if held is not None:
        return ok(name, f"in {held.place}, {amount(wanted.size)} to load")
    if any(place.status == "not asked" for place in places):
        return warn(name, "in no layout here; its registry is not asked", "evalctl image load LAYOUT")
    tried = ", ".join(f"{place.place}: {place.status}" for place in places)
    return fail(name, f"not to be had ({tried})", "evalctl image build DIR")


def entry(item: PlannedInput, silent: str) -> HealthCheck:
    """Judge whether an input is here or to be had."""
    return source(f"{item.kind}:{item.name}", item.status, item.uri, silent)


def source(name: str, status: Whereabouts, uri: str, silent: str) -> HealthCheck:
    """Judge whether something is cached, here, or at a server that answers."""
    if status == "missing":
        return fail(name, f"not to be had: {uri}", "evalctl plan FILE --blueprint-dir DIR")
    if silent:
        return fail(name, f"not to be had: {silent}", f"curl --head {uri}")
    where = {"cached": "in the cache", "local": f"here: {uri}", "remote": f"its server answers: {uri}"}
    return ok(name, where[status])


def space(plan: Plan, seen: Observed) -> HealthCheck:
    """Judge whether the disks can take what is fetched, loaded and written."""
    disk, engine = plan.disk, seen.engine.disk
    home = disk.inputs + disk.attempt
    if engine is not None and engine.device == seen.home.device:
        home += disk.engine
    detail = f"{amount(home)} at most of {amount(seen.home.free)} in the home"
    if home > seen.home.free:
        return fail("space", detail, "export EVALCTL_HOME=/a/larger/local/disk/evalctl")
    if engine is not None and disk.engine > engine.free:
        wanted = f"{amount(disk.engine)} of {amount(engine.free)} in the engine"
        return fail("space", wanted, "docker image prune")
    unknown = f"; of unknown size: {', '.join(disk.unknown)}" if disk.unknown else ""
    return ok("space", detail + unknown)
