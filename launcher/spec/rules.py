"""The rules that join several keys: order of bounds, one name space, references to inputs.

Each rule is given what was read and well-formed, without defaults, and yields faults below its table.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from launcher.spec.hosts import is_host_entry
from launcher.spec.kinds import Fault, Rule, shown
from launcher.spec.positions import Path
from launcher.spec.service_rules import services_share_a_loopback
from launcher.spec.units import size_text

Values = Mapping[str, Any]


def window_in_order(window: Values) -> Iterable[Fault]:
    """Refuse a window that ends before it starts."""
    if "from" in window and "to" in window and window["from"] > window["to"]:
        yield Fault(
            ("to",), f"the window ends before it starts on {window['from'].isoformat()}; swap `from` and `to`"
        )


def bounds_in_order(threshold: Values) -> Iterable[Fault]:
    """Refuse a threshold that nothing can keep."""
    if "min" in threshold and "max" in threshold and threshold["min"] > threshold["max"]:
        yield Fault(
            ("max",),
            f"no value is at least {threshold['min']:g} and at most {threshold['max']:g}; "
            "swap `min` and `max`",
        )


def parts_fit_memory(resources: Values) -> Iterable[Fault]:
    """Refuse a part of memory that is written larger than the whole."""
    memory = resources.get("memory")
    for part in ("tmp", "shm", "output"):
        if memory is not None and resources.get(part, 0) > memory:
            sizes = f"{size_text(resources[part])} are more than {size_text(memory)}"
            yield Fault((part,), f"`{part}` is part of `memory`: {sizes}; lower it, or raise `memory`")


def only_with_command(score: Values) -> Iterable[Fault]:
    """Refuse settings of a second container where there is none."""
    if "labels" in score and "command" not in score:
        for name in ("timeout", "env", "resources"):
            if name in score:
                yield Fault(
                    (name,),
                    f"`{name}` belongs to `command`; joining `labels` starts no container; leave it out",
                    "key",
                )


def hosts_need_egress(sandbox: Values) -> Iterable[Fault]:
    """Refuse hosts without a network, and a network without hosts."""
    egress = sandbox.get("network") == "egress"
    if sandbox.get("allow-hosts") and not egress:
        yield Fault(("allow-hosts",), '`allow-hosts` needs `network = "egress"`', "key")
    if egress and not sandbox.get("allow-hosts"):
        yield Fault(("network",), '`network = "egress"` needs `allow-hosts`: which hosts may be reached')
    for place, entry in enumerate(sandbox.get("allow-hosts", ())):
        if isinstance(entry, str) and not is_host_entry(entry):
            yield Fault(
                ("allow-hosts", place), f"{shown(entry)} is no host; write `HOST`, `HOST:PORT` or `*.HOST`"
            )


def _inputs(blueprint: Values) -> Iterator[tuple[str, int, Values]]:
    for kind in ("model", "data"):
        for index, item in enumerate(blueprint.get(kind, ())):
            yield kind, index, item


def _known(blueprint: Values, *kinds: str) -> tuple[str, ...]:
    return tuple(item["name"] for kind, _, item in _inputs(blueprint) if kind in kinds and "name" in item)


def _refer(path: Path, name: Any, known: tuple[str, ...], what: str) -> Iterable[Fault]:
    if isinstance(name, str) and name not in known:
        missing = "" if known else "; add it, or name one that is there"
        yield Fault(path, f"there is no {what} named {shown(name)}{missing}", unknown=name, known=known)


def one_name_space(blueprint: Values) -> Iterable[Fault]:
    """Refuse two inputs of one name: all are mounted side by side."""
    first: dict[str, str] = {}
    for kind, index, item in _inputs(blueprint):
        name = item.get("name")
        if name in first:
            yield Fault(
                (kind, index, "name"),
                f"a `[[{first[name]}]]` is already named {shown(name)}; "
                f"both would be `/eval/inputs/{name}`; rename one",
            )
        elif name is not None:
            first[name] = kind


def labels_are_held_out(blueprint: Values) -> Iterable[Fault]:
    """Refuse labels that are no data, or that `[run]` could read."""
    labels = blueprint.get("score", {}).get("labels")
    roles = {item.get("name"): item.get("role", "input") for item in blueprint.get("data", ())}
    yield from _refer(("score", "labels"), labels, _known(blueprint, "data"), "`[[data]]`")
    if labels is not None and roles.get(labels) == "input":
        yield Fault(
            ("score", "labels"),
            f'`[run]` could read the labels: give the `[[data]]` {shown(labels)} `role = "held-out"`',
        )


def references_exist(blueprint: Values) -> Iterable[Fault]:
    """Refuse `variant-of`, `derived-from` and a service's models that name nothing."""
    every, models = _known(blueprint, "data", "model"), _known(blueprint, "model")
    for kind, index, item in _inputs(blueprint):
        here: Path = (kind, index)
        others = tuple(name for name in every if name != item.get("name"))
        yield from _refer((*here, "variant-of"), item.get("variant-of"), others, "other input")
        for place, name in enumerate(item.get("derived-from", {}).get("data", ())):
            yield from _refer((*here, "derived-from", "data", place), name, others, "other input")
    for index, service in enumerate(blueprint.get("service", ())):
        for place, name in enumerate(service.get("models", ())):
            yield from _refer(("service", index, "models", place), name, models, "`[[model]]`")


def lineage_ends(blueprint: Values) -> Iterable[Fault]:
    """Refuse inputs that are derived from themselves in a circle."""
    parents: dict[str, list[Any]] = {}
    places: dict[str, Path] = {}
    for kind, index, item in _inputs(blueprint):
        if "name" in item:
            sources = item.get("derived-from", {}).get("data", [])
            parents[item["name"]] = [source for source in sources if source != item["name"]]
            places[item["name"]] = (kind, index, "derived-from")
    finished: set[Any] = set()
    while ready := [
        name
        for name, sources in parents.items()
        if name not in finished and all(source in finished or source not in parents for source in sources)
    ]:
        finished.update(ready)
    circle = sorted(parents.keys() - finished)
    if circle:
        names = ", ".join(map(shown, circle[:5]))
        yield Fault(
            places[circle[0]],
            f"inputs are derived from each other in a circle: {names}; leave one `derived-from` out",
        )


def one_primary(blueprint: Values) -> Iterable[Fault]:
    """Refuse a second primary metric."""
    primary = [index for index, metric in enumerate(blueprint.get("metric", ())) if metric.get("primary")]
    for index in primary[1:]:
        yield Fault(("metric", index, "primary"), "only one metric can be primary; leave `primary` out here")


def score_services_have_a_score(blueprint: Values) -> Iterable[Fault]:
    """Refuse a service beside a second container that is not there."""
    for index, service in enumerate(blueprint.get("service", ())):
        if service.get("phase") == "score" and "command" not in blueprint.get("score", {}):
            yield Fault(("service", index, "phase"), '`phase = "score"` needs a `[score]` with `command`')


def harness_scores_itself(blueprint: Values) -> Iterable[Fault]:
    """Refuse a `[score]` beside a harness's own logs, which hold targets and scores."""
    harness = blueprint.get("run", {}).get("format")
    if harness in ("lm-eval", "inspect") and "score" in blueprint:
        yield Fault(
            ("score",), f'`format = "{harness}"` brings targets and scores: leave out `[score]`', "key"
        )


def inspect_stays_inside(blueprint: Values) -> Iterable[Fault]:
    """Refuse a sandbox of Inspect that needs an engine: none can be reached from inside the container."""
    run = blueprint.get("run", {})
    if run.get("format") != "inspect":
        return
    given = list(_sandboxes(run.get("command", ())))
    if "INSPECT_EVAL_SANDBOX" in run.get("env", {}):
        given.append((("run", "env", "INSPECT_EVAL_SANDBOX"), run["env"]["INSPECT_EVAL_SANDBOX"]))
    for path, sandbox in given:
        kind = sandbox.partition(":")[0] if isinstance(sandbox, str) else "local"
        if kind != "local":
            yield Fault(
                path,
                f"Inspect's sandbox {shown(kind)} needs an engine, which nothing in the container can reach; "
                'only "local" works, and the container isolates it',
            )


def _sandboxes(command: Iterable[Any]) -> Iterator[tuple[Path, str]]:
    """Yield what a command line, in one argument or several, gives as Inspect's sandbox."""
    words = [
        (index, word)
        for index, argument in enumerate(command)
        if isinstance(argument, str)
        for word in argument.split()
    ]
    for place, (index, word) in enumerate(words):
        name, equals, value = word.strip("'\"").partition("=")
        if name in ("--sandbox", "sandbox") and equals:
            yield ("run", "command", index), value.strip("'\"")
        elif name == "--sandbox" and place + 1 < len(words):
            yield ("run", "command", words[place + 1][0]), words[place + 1][1].strip("'\"")


ACROSS_TABLES: tuple[Rule, ...] = (
    one_name_space,
    labels_are_held_out,
    references_exist,
    lineage_ends,
    one_primary,
    score_services_have_a_score,
    services_share_a_loopback,
    harness_scores_itself,
    inspect_stays_inside,
)
