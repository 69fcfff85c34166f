"""The JSON Schema of one line of a bundle's resources.jsonl."""

from typing import Final

from launcher.canonical import MAX_INTEGER
from launcher.spec.json_types import COUNT, FLAG, Schema, array, document, said, table, words

_SECONDS: Final[Schema] = {"type": "number", "minimum": 0}
_TEXT: Final[Schema] = {"type": "string", "minLength": 1}
_REPLICATE: Final[Schema] = said(COUNT, "Which seed's container it was, from 0.")
_PHASE: Final[Schema] = said(_TEXT, "`run`, `score`, or that of a service.")
_SERVICE: Final[Schema] = said(_TEXT, "The service whose container it was, where it was one.")
_OF_CONTAINER: Final[dict[str, Schema]] = {"replicate": _REPLICATE, "phase": _PHASE}
# What the first process saw of its children: itself and the engine's own work are not in it.
_OWN: Final[dict[str, Schema]] = {
    "seconds": said(_SECONDS, "Wall time of the command."),
    "cpu_user_seconds": _SECONDS,
    "cpu_system_seconds": _SECONDS,
    "max_rss_bytes": said(COUNT, "The largest resident set of any one process."),
    "output_bytes": said(COUNT, "What came out of /eval/out."),
}
_COUNTERS: Final[dict[str, Schema]] = {
    "cpu_seconds": said(_SECONDS, "Processor time of the whole container so far."),
    "throttled_seconds": said(_SECONDS, "How long it was held back by its share of processors so far."),
    "read_bytes": said(COUNT, "From block devices so far."),
    "written_bytes": said(COUNT, "To block devices so far."),
}
_GPU: Final = table(
    {"uuid": _TEXT},
    {
        "utilisation": {"type": "number", "minimum": 0, "description": "Busy share in percent."},
        "memory_bytes": COUNT,
        "power_watts": {"type": "number", "minimum": 0},
        "temperature_celsius": {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER},
        "sm_clock_mhz": COUNT,
    },
)


def resources_schema() -> Schema:
    """Return the schema of one line of a bundle's resources.jsonl."""
    text = "One line of a bundle's resources.jsonl: a container, the sum of a phase, or a sample over time."
    lines = {"oneOf": [_container(), _phase(), _sample()]}
    return document("resources/v1", "resources.jsonl of a bundle", text, lines)


def _container() -> Schema:
    stream = table({"bytes": COUNT, "kept": COUNT, "truncated": FLAG})
    source = said(words(("cgroup-v1", "cgroup-v2", "engine")), "Who told; absent: it could not be watched.")
    counted = {
        "source": source,
        "interval": said(_SECONDS, "Seconds between samples; in the first second they are closer."),
        "samples": said(COUNT, "How many samples were taken."),
        "memory_peak_bytes": said(COUNT, "The most memory at any moment, files in memory included."),
        "pids_peak": said(COUNT, "The most processes and threads at any moment."),
        "memory_kills": said(COUNT, "Processes that the kernel ended for want of memory."),
        "memory_refusals": said(COUNT, "How often the memory limit was met; cache may have been given up."),
        "pids_refusals": said(COUNT, "Processes and threads that could not be made."),
        **_COUNTERS,
    }
    logs = said(table({"stdout": stream, "stderr": stream}), "Bytes written and kept of each stream.")
    required = {"kind": {"const": "container"}, **_OF_CONTAINER, **_OWN, "logs": logs}
    return table(required, {"service": _SERVICE, **counted})


def _phase() -> Schema:
    own = {
        **_OWN,
        "max_rss_bytes": said(COUNT, "The largest resident set of any one process."),
    }
    required = {
        "kind": {"const": "phase"},
        "phase": said(_TEXT, "`run`, `score`, or `service` for all services together."),
        "containers": COUNT,
        **own,
    }
    return table(required, {name: _COUNTERS[name] for name in ("read_bytes", "written_bytes")})


def _sample() -> Schema:
    required = {
        "kind": {"const": "sample"},
        **_OF_CONTAINER,
        "at": said(_SECONDS, "Since the container was started."),
    }
    optional = {
        "service": _SERVICE,
        **_COUNTERS,
        "memory_bytes": said(COUNT, "In use, files in memory included."),
        "anonymous_bytes": said(COUNT, "The part of it that is no file."),
        "file_bytes": said(COUNT, "The part of it that is files: cache, /tmp, /dev/shm and /eval/out."),
        "pids": said(COUNT, "Processes and threads."),
        "gpus": array(_GPU),
    }
    return table(required, optional)
