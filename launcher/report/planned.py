"""Show a plan in a terminal: at most 80 columns, what would run first, what it needs and costs last."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from launcher.report.text import amount, cut, cut_middle, wrapped
from launcher.report.wording import selection_text
from launcher.spec.plan import Plan, PlannedContainer, PlannedImage, PlannedInput, PlannedMount
from launcher.spec.units import size_text

_WORD = 9
_LONGEST = 300
_MOST_METRICS = 6
_HEX = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,52}\b")
_STATUS = {
    "cached": "in the cache",
    "local": "to be copied from {uri}",
    "remote": "to be fetched from {uri}",
    "missing": "NOT to be had: {uri}",
}


def planned(plan: Plan, home: str) -> str:
    """Return everything `evalctl plan` prints; paths in `home` begin with $EVALCTL_HOME."""
    parts = [
        _head(plan, home),
        _sources(plan),
        _run(plan),
        *(part for container in plan.containers for part in _container(container, plan, home)),
        _needs(plan),
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def _line(word: str, text: str) -> list[str]:
    return wrapped(text, first=f"{cut_middle(word, 40):<{_WORD - 1}} ", indent=_WORD)


def _head(plan: Plan, home: str) -> Iterator[str]:
    yield from wrapped(f"{plan.name} {plan.version}")
    if plan.lock is None:
        first = ", ".join(plan.to_fetch_first)
        yield from _line("lock", f"not known before these are here: {first}")
    else:
        yield from _line("lock", plan.lock)
    if plan.finished is not None:
        yield from _line("finished", f"in attempt {plan.finished.attempt}; a launch returns its bundle:")
        yield from _line("", plan.finished.bundle.replace(f"{home}/", "$EVALCTL_HOME/", 1))
        yield from _line("", "what follows is what `evalctl launch --rerun` would run")


def _sources(plan: Plan) -> Iterator[str]:
    yield from _line("image", plan.image.digest)
    for place in plan.image.places:
        detail = f" ({place.detail})" if place.detail else ""
        yield from _line("", f"{place.place}: {place.status}{detail}")
    yield from _line("", _in_engine(plan.image, plan.no_engine))
    where = _STATUS[plan.code.status].format(uri=plan.code.git)
    for name, image in plan.services.items():
        yield from _line("service", f"{name}: {_service_image(image, plan)}")
    yield from _line("code", f"{plan.code.commit}, {where}")
    for item in plan.inputs:
        yield from _line(item.kind, _input(item))


def _in_engine(image: PlannedImage, no_engine: str) -> str:
    if image.in_engine:
        return "in the engine: nothing to load"
    if image.in_engine is False:
        return f"not in the engine: {amount(image.bytes_to_load)} to load"
    if no_engine:
        return "in the engine: not known, none answered"
    return "in the engine: not known before its pins are"


def _service_image(image: PlannedImage, plan: Plan) -> str:
    if image.digest == plan.image.digest:
        return "the same image"
    return f"{image.digest}, {_in_engine(image, plan.no_engine)}"


def _input(item: PlannedInput) -> str:
    held_out = ", held out of the run" if item.role == "held-out" else ""
    return f"{item.name}, {amount(item.size)}{held_out}: {_STATUS[item.status].format(uri=item.uri)}"


def _run(plan: Plan) -> Iterator[str]:
    count = len(plan.seeds)
    seeds = ", ".join(map(str, plan.seeds[:20])) + (", ..." if count > 20 else "")
    yield from _line("seeds", f"{seeds} ({_containers(plan)})")
    side = f"{plan.parallel} at a time" if plan.parallel else "as many at a time as there are processors"
    longest = f", {_duration(plan.longest_seconds)} for all" if plan.longest_seconds else ""
    each = plan.seconds_for_one
    yield from _line("time", f"at most {_duration(each)} for one{longest}; {side}")
    for metric in plan.metrics[:_MOST_METRICS]:
        yield from _line("metric", _metric(metric))
    if rest := len(plan.metrics[_MOST_METRICS:]):
        yield from _line("", f"+ {rest} more: see `--json`")


def _containers(plan: Plan) -> str:
    count = len(plan.seeds)
    scored = any(container.phase == "score" and not container.service for container in plan.containers)
    more = f", and {count} more to score" if scored else ""
    beside = f", with {len(plan.services)} of services beside each seed's" if plan.services else ""
    return f"{count} container{'' if count == 1 else 's'}{more}{beside}"


def _container(container: PlannedContainer, plan: Plan, home: str) -> Iterator[Iterator[str]]:
    """Yield the parts about one container; its sandbox unless that is the first one's."""
    yield _command(container)
    if container is plan.containers[0] or container.sandbox != plan.containers[0].sandbox:
        yield _sandbox(container.sandbox)
    yield _seen_inside(container, home)


def _command(container: PlannedContainer) -> Iterator[str]:
    word = "service" if container.service else "command" if container.phase == "run" else "score"
    name = f"{container.service}, beside [{container.phase}]: " if container.service else ""
    yield from _line(word, name + cut(" ".join(container.command), _LONGEST))
    if container.ready:
        yield from _line("ready", f"when {container.ready} answers, within {_duration(container.timeout)}")
    yield from _line("in", container.working_directory)


def _metric(metric: Mapping[str, Any]) -> str:
    where = selection_text(metric["where"])
    text = f"{metric['name']}: {metric['definition']} of {metric['of']}{' ' if where else ''}{where}"
    if metric["primary"]:
        text += ", primary"
    threshold = metric["threshold"] or {}
    for bound, sign in (("min", ">="), ("max", "<=")):
        if threshold.get(bound) is not None:
            text += f", {threshold['on']} {sign} {threshold[bound]:g}"
    if published := metric["published"]:
        text += f", published {published['value']:.{published['decimals']}f}"
    return text


def _sandbox(profile: Mapping[str, Any]) -> Iterator[str]:
    yield from _line(
        "sandbox",
        f"{profile['runtime']}, network {profile['network']}, read-only root, user {profile['user']}, "
        f"no capabilities, no new privileges, private ipc and cgroup namespaces, "
        f"host name {profile['hostname']}",
    )
    if hosts := profile.get("allow-hosts"):
        yield from _line("", f"hosts: {', '.join(hosts)}; nothing else outside")
    if secrets := profile.get("secrets"):
        yield from _line("", f"secrets: {', '.join(secrets)}, given with `--secret NAME`")
    yield from _line("", f"seccomp {profile['seccomp']}")
    yield from _line("", f"widened: {', '.join(profile['widenings']) or 'nothing'}")
    yield from _line(
        "limits",
        f"{profile['cpus']} cpus, {size_text(profile['memory'])} memory without swap, "
        f"{profile['pids']} processes, {size_text(profile['shm'])} shared memory, out-of-memory score "
        f"+{profile['oom-score-adjustment']}",
    )
    yield from _line("", ", ".join(f"{name} {limit}" for name, limit in profile["ulimits"].items()))
    for scratch in profile["scratch"]:
        options = ",".join(scratch["options"])
        text = f"{scratch['path']}: {size_text(scratch['bytes'])}, {scratch['inodes']} inodes, {options}"
        yield from _line("writable", text)
    yield from _line("masked", " ".join(profile["masked-paths"]))
    yield from _line("readonly", " ".join(profile["read-only-paths"]))


def _seen_inside(container: PlannedContainer, home: str) -> Iterator[str]:
    for mount in container.mounts:
        yield from _line("mount", f"{mount.target} ({_access(mount)}) from {_source(mount, home)}")
    for name, value in container.environment.items():
        yield from _line("env", cut(f"{name}={value}", _LONGEST))


def _access(mount: PlannedMount) -> str:
    return "kept, watched" if mount.kind == "state" else "read-only"


def _source(mount: PlannedMount, home: str) -> str:
    if mount.kind == "launcher":
        return "this installation"
    return _HEX.sub(r"\1...", mount.source.replace(f"{home}/", "$EVALCTL_HOME/", 1))


def _needs(plan: Plan) -> Iterator[str]:
    disk = plan.disk
    home = f"{amount(disk.inputs)} for inputs, {amount(disk.attempt)} at most for outputs and logs"
    yield from _line("disk", f"in the home {home}; in the engine {amount(disk.engine)}")
    if disk.unknown:
        yield from _line("", f"of unknown size, not counted: {', '.join(disk.unknown)}")
    yield from _gpus(plan)
    if plan.engine is None:
        yield from _line("engine", f"none answers: {plan.no_engine}")
    else:
        engine = plan.engine
        yield from _line("engine", f"{engine.name} {engine.version}, {engine.cpus} cpus")
    for unmet in plan.unmet:
        yield from _line("UNMET", unmet.what)
    yield from _line("cost", _cost(plan))


def _gpus(plan: Plan) -> Iterator[str]:
    if not plan.gpus:
        yield from _line("gpus", "none")
    for planned_gpus in plan.gpus:
        scoring = ", to score" if planned_gpus.phase == "score" else ""
        service = f", for {planned_gpus.service}" if planned_gpus.service else ""
        yield from _line("gpus", f"{planned_gpus.asked}{service}{scoring}")
        for gpu in planned_gpus.given:
            later = ", when another launch is done with it" if planned_gpus.waits else ""
            yield from _line("", f"would get {gpu.name}, {amount(gpu.memory)}, {gpu.uuid}{later}")


def _cost(plan: Plan) -> str:
    cost = plan.cost
    if cost is None:
        return "not known yet: no run of this lock is in this home"
    said = "the bundle" if cost.source == "bundle" else f"{cost.runs} past run{'' if cost.runs == 1 else 's'}"
    wall = f"{_span(cost.wall_seconds)} s wall, " if cost.wall_seconds else ""
    return (
        f"{wall}{_span(cost.cpu_seconds)} s CPU, {_amounts(cost.max_rss_bytes)} memory, "
        f"{_amounts(cost.output_bytes)} of output, as {said} said"
    )


def _span(ends: tuple[float, float]) -> str:
    least, most = (f"{end:.3g}" for end in ends)
    return least if least == most else f"{least}..{most}"


def _amounts(ends: tuple[int, int]) -> str:
    least, most = (amount(end) for end in ends)
    return least if least == most else f"{least}..{most}"


def _duration(seconds: int | None) -> str:
    left, text = seconds or 0, ""
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
