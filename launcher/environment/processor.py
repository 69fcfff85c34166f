"""What the processor is, and how it is set; what cannot be read is left out.

Nothing here tells one machine from another of its kind: no serial number, no name, no address.
"""

from collections.abc import Iterator
from pathlib import Path

from launcher.environment.facts import Fact
from launcher.environment.machine import text_of
from launcher.environment.processors import read_cpu_list

_LONGEST = 4096


def processor_facts(root: Path = Path("/")) -> Iterator[Fact]:
    """Yield facts about the processor, from the kernel's own files below `root`."""
    rows = list(_processors(text_of(root / "proc/cpuinfo") or ""))
    first = rows[0] if rows else {}
    for name, keys in _NAMED:
        if value := next((first[key] for key in keys if first.get(key)), ""):
            yield Fact(name, value, "host")
    if flags := (first.get("flags") or first.get("Features") or "").split():
        yield Fact("host.cpu-flags", sorted(set(flags)), "host")
        yield Fact("host.virtual", "hypervisor" in flags, "host")
    yield from _topology(rows)
    yield from _settings(root / "sys/devices/system")


_NAMED = (
    ("host.cpu-model", ("model name", "cpu model", "Processor")),
    ("host.cpu-vendor", ("vendor_id", "CPU implementer")),
    ("host.cpu-microcode", ("microcode",)),
)


def _processors(text: str) -> Iterator[dict[str, str]]:
    """Yield the fields of each logical processor."""
    for part in text.split("\n\n"):
        fields = {}
        for line in part.splitlines():
            name, colon, value = line.partition(":")
            if colon:
                fields[name.strip()] = value.strip()[:_LONGEST]
        if "processor" in fields:
            yield fields


def _topology(rows: list[dict[str, str]]) -> Iterator[Fact]:
    """Yield how many sockets, cores and threads there are; some kernels tell only threads."""
    if not rows:
        return
    yield Fact("host.cpu-threads", len(rows), "host")
    if all("physical id" in row and "core id" in row for row in rows):
        yield Fact("host.cpu-sockets", len({row["physical id"] for row in rows}), "host")
        yield Fact("host.cpu-cores", len({(row["physical id"], row["core id"]) for row in rows}), "host")


def _settings(system: Path) -> Iterator[Fact]:
    if (nodes := _counted(text_of(system / "node/online"))) is not None:
        yield Fact("host.numa-nodes", nodes, "host")
    if (active := text_of(system / "cpu/smt/active")) in ("0", "1"):
        yield Fact("host.smt", active == "1", "host")
    governors = {text_of(path) for path in sorted(system.glob("cpu/cpu[0-9]*/cpufreq/scaling_governor"))}
    if named := sorted(name for name in governors if name):
        yield Fact("host.cpu-governor", ", ".join(named), "host")
    if (off := text_of(system / "cpu/intel_pstate/no_turbo")) in ("0", "1"):
        yield Fact("host.cpu-turbo", off == "0", "host")
    elif (boost := text_of(system / "cpu/cpufreq/boost")) in ("0", "1"):
        yield Fact("host.cpu-turbo", boost == "1", "host")


def _counted(listed: str | None) -> int | None:
    """Return how many numbers a list such as `0-3,8` holds."""
    try:
        return len(read_cpu_list(listed or "")) or None
    except ValueError:
        return None
