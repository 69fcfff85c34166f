"""Processors are chosen so that runs share neither cores nor, where it can be, memory's way."""

from pathlib import Path

import pytest

from launcher.environment.processors import (
    Processor,
    choose,
    cpu_list,
    describe,
    own_processors,
    read_cpu_list,
)


def machine(nodes: int, cores: int, threads: int = 2) -> list[Processor]:
    """Return processors numbered as Linux does: the first thread of every core, then the second ones."""
    total = nodes * cores
    return [
        Processor(thread * total + core, (core // cores, core), core // cores)
        for thread in range(threads)
        for core in range(total)
    ]


def test_the_threads_of_a_core_go_together() -> None:
    assert choose(machine(1, 4), 4) == (0, 1, 4, 5)


def test_one_node_is_preferred_and_the_fullest_taken() -> None:
    assert choose(machine(2, 4, 1), 3) == (0, 1, 2)
    free = [each for each in machine(2, 4, 1) if each.number != 6]
    assert choose(free, 3) == (4, 5, 7)


def test_whole_cores_come_before_halves() -> None:
    free = [each for each in machine(1, 4) if each.number != 0]
    assert choose(free, 2) == (1, 5)


def test_several_nodes_are_taken_where_none_has_enough() -> None:
    assert choose(machine(2, 2, 1), 3) == (0, 1, 2)


def test_too_few_are_none() -> None:
    assert choose(machine(1, 2, 1), 3) is None


@pytest.mark.parametrize(
    ("numbers", "text"), [((), ""), ((3,), "3"), ((0, 1, 2, 3, 8), "0-3,8"), ((9, 1), "1,9")]
)
def test_lists_are_written_as_linux_does(numbers: tuple[int, ...], text: str) -> None:
    assert cpu_list(numbers) == text
    assert read_cpu_list(text) == tuple(sorted(numbers))


def test_the_kernels_topology_is_read(tmp_path: Path) -> None:
    for number, core in ((0, 0), (1, 0), (2, 1), (3, 1)):
        topology = tmp_path / "cpu" / f"cpu{number}" / "topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text("0\n")
        (topology / "core_id").write_text(f"{core}\n")
    (tmp_path / "node" / "node1").mkdir(parents=True)
    (tmp_path / "node" / "node1" / "cpulist").write_text("2-3\n")
    assert describe([3, 0], tmp_path) == (Processor(0, (0, 0), 0), Processor(3, (0, 1), 1))


def test_a_kernel_that_tells_nothing_gives_cores_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "node" / "node0").mkdir(parents=True)
    (tmp_path / "node" / "node0" / "cpulist").write_text("nonsense")
    assert describe([1, 0], tmp_path) == (Processor(0, (-1, 0)), Processor(1, (-1, 1)))


def test_this_machine_has_processors() -> None:
    assert own_processors()
