"""Which processors this process may use, and how they lie together: cores, and nodes of memory."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

_SYSTEM = Path("/sys/devices/system")


class Processor(Struct, frozen=True):
    """One logical processor; those of one `core` (its package and number) share its units."""

    number: int
    core: tuple[int, int] = (0, 0)
    node: int = 0


def own_processors(system: Path = _SYSTEM) -> tuple[Processor, ...]:
    """Return what the scheduler and the control groups let this process run on, in order."""
    return describe(os.sched_getaffinity(0), system)


def describe(numbers: Iterable[int], system: Path = _SYSTEM) -> tuple[Processor, ...]:
    """Return the processors of these numbers; where nothing is told, each is a core of its own on node 0."""
    nodes = _nodes(system / "node")
    return tuple(_processor(number, nodes, system / "cpu") for number in sorted(numbers))


def choose(free: Sequence[Processor], count: int) -> tuple[int, ...] | None:
    """Return `count` of the free processors, or None; from one node if one has enough, whole cores first.

    Of several nodes the one with the fewest free is taken, so that the others stay whole.
    """
    if count > len(free):
        return None
    by_node: dict[int, list[Processor]] = {}
    for processor in free:
        by_node.setdefault(processor.node, []).append(processor)
    enough = [node for node, held in by_node.items() if len(held) >= count]
    if enough:
        order = [min(enough, key=lambda node: (len(by_node[node]), node))]
    else:
        order = sorted(by_node, key=lambda node: (-len(by_node[node]), node))
    ordered = [processor for node in order for processor in _whole_cores_first(by_node[node])]
    return tuple(sorted(processor.number for processor in ordered[:count]))


def cpu_list(numbers: Iterable[int]) -> str:
    """Return numbers as Linux writes them: `0-3,8`."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def read_cpu_list(text: str) -> tuple[int, ...]:
    """Return the numbers of a list as Linux writes it; raises `ValueError` for anything else."""
    numbers: list[int] = []
    for span in filter(None, text.strip().split(",")):
        first, _, last = span.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return tuple(numbers)


def _whole_cores_first(processors: Sequence[Processor]) -> list[Processor]:
    sizes: dict[tuple[int, int], int] = {}
    for processor in processors:
        sizes[processor.core] = sizes.get(processor.core, 0) + 1
    return sorted(processors, key=lambda each: (-sizes[each.core], each.core, each.number))


def _nodes(folder: Path) -> dict[int, int]:
    """Return the node of each processor, as far as the kernel tells."""
    found: dict[int, int] = {}
    for place in sorted(folder.glob("node[0-9]*")):
        try:
            numbers = read_cpu_list((place / "cpulist").read_text())
        except (OSError, ValueError):
            continue
        found.update(dict.fromkeys(numbers, int(place.name.removeprefix("node"))))
    return found


def _processor(number: int, nodes: dict[int, int], folder: Path) -> Processor:
    topology = folder / f"cpu{number}" / "topology"
    try:
        package, core = (int((topology / name).read_text()) for name in ("physical_package_id", "core_id"))
    except (OSError, ValueError):
        package, core = -1, number
    return Processor(number, (package, core), nodes.get(number, 0))
