"""What kind of machine ran something, as short texts out of its environment manifest: never which one."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

# Two machines are of one kind where all of these are equal.
KIND_NAMES: Final = ("machine", "processor", "kernel", "engine", "runtime", "gpu", "gpu-driver")
NO_GPU: Final = "none"
_LONGEST: Final = 200


def machine_kind(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the kind of the machine that `facts` of an environment manifest are about, by `KIND_NAMES`.

    What the facts do not tell is left out. No name of a host or user, no path and no serial number is in it.
    """
    profile = facts.get("sandbox.profile")
    said = {
        "machine": facts.get("host.machine"),
        "processor": facts.get("host.cpu-model"),
        "kernel": facts.get("engine.kernel") or facts.get("host.kernel"),
        "engine": " ".join(filter(None, map(_text, (facts.get("engine.name"), facts.get("engine.version"))))),
        "runtime": profile.get("runtime") if isinstance(profile, Mapping) else None,
        "gpu": ", ".join(_gpus(facts.get("gpu.devices"))) or NO_GPU,
        "gpu-driver": facts.get("gpu.driver"),
    }
    return {name: text for name, value in said.items() if (text := _text(value))}


def stated_kind(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the kind that a signed statement names, for comparing; empty where it names none.

    Whatever else stands beside is not looked at: it would make one machine several kinds.
    """
    return tuple((name, environment[name]) for name in KIND_NAMES if environment.get(name))


def kind_in_words(kind: Mapping[str, str]) -> str:
    """Return a kind in one line; of what it does not have, such as GPUs, nothing is said."""
    said = {name: text for name, text in stated_kind(kind) if (name, text) != ("gpu", NO_GPU)}
    labels = {"kernel": "kernel ", "gpu-driver": "driver "}
    if "processor" in said:
        said.pop("machine", None)
    return ", ".join(f"{labels.get(name, '')}{text}" for name, text in said.items())


def _gpus(devices: Any) -> Iterator[str]:
    """Yield each model of the GPUs, or slices of one, that were given, with their number."""
    listed = devices if isinstance(devices, list) else []
    given = Counter(_given(each) for each in listed if isinstance(each, Mapping))
    for name, count in sorted(given.items()):
        if name:
            yield f"{count} x {name}"


def _given(device: Mapping[str, Any]) -> str:
    part = device.get("given")
    name = part.get("name") if isinstance(part, Mapping) else None
    return _text(name) or _text(device.get("model"))


def _text(value: Any) -> str:
    return " ".join(value.split())[:_LONGEST] if isinstance(value, str) else ""
