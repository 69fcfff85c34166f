"""What a Docker Engine itself says that a container uses, for where its control groups cannot be seen."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from launcher.engines.docker_client import engine_faults
from launcher.spec.usage import UsageSample

if TYPE_CHECKING:
    from docker import APIClient


def first_process(client: "APIClient", container: str) -> int | None:
    """Return the id of the container's first process on the engine's machine, None where it has ended."""
    with engine_faults("look at a container"):
        number = client.inspect_container(container)["State"].get("Pid")
    return int(number) if number else None


def one_sample(client: "APIClient", container: str) -> UsageSample | None:
    """Return what the container has used so far; the time is the caller's to know."""
    with engine_faults("say what a container uses"):
        answer: Mapping[str, Any] = client.stats(container, decode=None, stream=False, one_shot=True)
    return read_stats(answer)


def read_stats(answer: Mapping[str, Any]) -> UsageSample:
    """Read an answer of the interface's ContainerStats; what is not in it is None."""
    cpu, memory = answer.get("cpu_stats") or {}, answer.get("memory_stats") or {}
    parts = memory.get("stats") or {}
    read, written = _transferred(answer.get("blkio_stats") or {})
    return UsageSample(
        at=0.0,
        cpu_seconds=_seconds((cpu.get("cpu_usage") or {}).get("total_usage")),
        throttled_seconds=_seconds((cpu.get("throttling_data") or {}).get("throttled_time")),
        memory_bytes=_count(memory.get("usage")),
        anonymous_bytes=_count(parts.get("anon", parts.get("total_rss"))),
        file_bytes=_count(parts.get("file", parts.get("total_cache"))),
        read_bytes=read,
        written_bytes=written,
        pids=_count((answer.get("pids_stats") or {}).get("current")),
    )


def _transferred(table: Mapping[str, Any]) -> tuple[int | None, int | None]:
    entries = table.get("io_service_bytes_recursive")
    if entries is None:
        return None, None
    totals = {"read": 0, "write": 0}
    for entry in entries:
        kind = str(entry.get("op", "")).lower()
        if kind in totals:
            totals[kind] += _count(entry.get("value")) or 0
    return totals["read"], totals["write"]


def _seconds(nanoseconds: Any) -> float | None:
    count = _count(nanoseconds)
    return None if count is None else round(count / 1e9, 6)


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_count else None
