"""Events and resources that say what nobody records, field by field, signed by the trusted key."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from launcher.canonical import canonical_bytes
from launcher.spec import bundle as names
from tests.bundles.case import Case, Forge, Row, rows
from tests.bundles.exhausting import made
from tests.bundles.forging import sealed, signed_rows, write

_STEP: Mapping[str, Any] = {
    "source": "launcher",
    "at": "2026-11-20T11:00:00Z",
    "step": "image",
    "seconds": 0.5,
    "detail": {"loaded": True},
}
_TOLD: Mapping[str, Any] = {
    "source": "container",
    "replicate": 0,
    "step": "loading",
    "phase": "run",
    "seconds": 2,
    "detail": [1, None],
}
_LOG: Mapping[str, Any] = {"bytes": 9, "kept": 9, "truncated": False}
_COMMON: Mapping[str, Any] = {
    "phase": "run",
    "seconds": 1.5,
    "cpu_user_seconds": 0.5,
    "cpu_system_seconds": 0,
    "max_rss_bytes": 4096,
    "output_bytes": 7,
}
_CONTAINER: Mapping[str, Any] = {
    **_COMMON,
    "kind": "container",
    "replicate": 0,
    "logs": {"stdout": _LOG, "stderr": _LOG},
    "source": "cgroup-v2",
    "interval": 1,
    "samples": 1,
    "memory_peak_bytes": 8192,
    "pids_peak": 3,
}
_PHASE: Mapping[str, Any] = {**_COMMON, "kind": "phase", "containers": 2, "read_bytes": 0}
_GPU: Mapping[str, Any] = {"uuid": "GPU-1", "utilisation": 50, "temperature_celsius": 40}
_SAMPLE: Mapping[str, Any] = {
    "kind": "sample",
    "replicate": 0,
    "phase": "run",
    "at": 0.5,
    "cpu_seconds": 0.25,
    "pids": 3,
    "gpus": [_GPU],
}
_MISSING = object()


def cases() -> Iterator[Case]:
    """Yield the records, honest and not."""
    honest = sealed(write(names.EVENTS, EVENT_LINES), write(names.RESOURCES, RESOURCE_LINES))
    yield Case(
        title="honest-records",
        group="honest",
        attack="recorded every kind of event and of resource",
        forge=honest,
        exit_code=0,
    )
    yield from rows("lies", "records", signed_rows(_of_events() | _of_resources() | _of_lines()))


def _line(value: Any) -> bytes:
    return canonical_bytes(value) + b"\n"


EVENT_LINES = b"".join(map(_line, (_STEP, _TOLD)))
RESOURCE_LINES = b"".join(map(_line, (_CONTAINER, _PHASE, _SAMPLE)))


def _file(name: str, good: Mapping[str, Any], bad: bytes) -> Forge:
    """Return a forgery whose second line is bad."""
    return write(name, _line(good) + bad)


def _but(line: Mapping[str, Any], changes: Mapping[str, Any]) -> bytes:
    changed = {name: value for name, value in {**line, **changes}.items() if value is not _MISSING}
    return _line(changed)


def _fields(
    prefix: str, name: str, line: Mapping[str, Any], table: Mapping[str, tuple[str, Any, str]]
) -> dict[str, Row]:
    return {
        f"{prefix}-{title}": (f"recorded {said}", _file(name, line, _but(line, changes)), words)
        for title, (said, changes, words) in table.items()
    }


def _of_events() -> dict[str, Row]:
    steps = {
        "by-nobody": ("an event without its source", {"source": _MISSING}, "`source`"),
        "by-another": ("an event by a source that there is not", {"source": "auditor"}, "Invalid value"),
        "without-a-step": ("an event without its step", {"step": _MISSING}, "`step`"),
        "of-no-step": ("an event with an empty step", {"step": ""}, "length >= 1"),
        "of-a-step-by-number": ("an event with a number for its step", {"step": 1}, "Expected `str`"),
        "on-no-day": ("an event on the 30th of February", {"at": "2026-02-30T00:00:00Z"}, "that exists"),
        "in-another-zone": (
            "an event in another zone",
            {"at": "2026-02-20T00:00:00+01:00"},
            "matching regex",
        ),
        "at-a-number": ("an event at a number", {"at": 1763636400}, "Expected `str`"),
        "of-negative-time": ("an event that took less than no time", {"seconds": -1}, ">= 0"),
        "of-null-time": ("an event that took null", {"seconds": None}, "got `null`"),
        "of-true-time": ("an event that took true", {"seconds": True}, "got `bool`"),
        "with-a-text-for-detail": (
            "an event of the launcher with a text for detail",
            {"detail": "x"},
            "`str`",
        ),
        "with-a-field-more": ("an event with a field that there is not", {"level": "info"}, "unknown field"),
        "of-a-replicate-by-the-launcher": (
            "an event of the launcher in the form of a container's",
            {"replicate": 0},
            "unknown field",
        ),
    }
    told = {
        "without-its-replicate": (
            "a container's event without its replicate",
            {"replicate": _MISSING},
            "`replicate`",
        ),
        "of-a-negative-replicate": ("a container's event of replicate -1", {"replicate": -1}, ">= 0"),
        "of-half-a-replicate": ("a container's event of replicate 0.5", {"replicate": 0.5}, "Expected `int`"),
        "with-a-time-of-its-own": ("a container's event with a clock", {"at": _STEP["at"]}, "unknown field"),
        "with-a-number-for-its-phase": (
            "a container's event with a number for its phase",
            {"phase": 1},
            "`str`",
        ),
    }
    return _fields("event", names.EVENTS, _STEP, steps) | _fields("event", names.EVENTS, _TOLD, told)


def _of_resources() -> dict[str, Row]:
    container = {
        "of-no-kind": ("resources of no kind", {"kind": _MISSING}, "`kind`"),
        "of-another-kind": ("resources of a kind that there is not", {"kind": "host"}, "Invalid value"),
        "without-logs": ("a container without its logs", {"logs": _MISSING}, "`logs`"),
        "with-one-log": ("a container with one of two logs", {"logs": {"stdout": _LOG}}, "`stderr`"),
        "with-a-truncated-log-by-number": (
            "a container with a number for whether its log was cut",
            {"logs": {"stdout": {**_LOG, "truncated": 0}, "stderr": _LOG}},
            "Expected `bool`",
        ),
        "seen-by-nobody": (
            "a container that a source watched which there is not",
            {"source": "htop"},
            "enum",
        ),
        "of-negative-memory": ("a container of less than no memory", {"max_rss_bytes": -1}, ">= 0"),
        "of-half-a-byte": ("a container that wrote half a byte", {"output_bytes": 0.5}, "Expected `int`"),
        "of-text-for-time": ("a container whose time is a text", {"seconds": "1"}, "got `str`"),
        "of-a-service-without-name": ("a container of a service of no name", {"service": ""}, "length >= 1"),
        "with-a-host": ("a container with the name of its host", {"host": "gpu-07"}, "unknown field"),
        "with-null-for-its-peak": ("a container with null for its peak", {"pids_peak": None}, "got `null`"),
    }
    phase = {
        "of-a-replicate": ("a phase with a replicate", {"replicate": 0}, "unknown field"),
        "without-count": (
            "a phase of nobody knows how many containers",
            {"containers": _MISSING},
            "`containers`",
        ),
    }
    sample = {
        "sampled-before-it-began": ("a sample from before the start", {"at": -0.5}, ">= 0"),
        "sampled-at-no-time": ("a sample of no time", {"at": _MISSING}, "`at`"),
        "with-gpus-that-are-no-list": (
            "a sample with one GPU in no list",
            {"gpus": _GPU},
            "Expected `array`",
        ),
        "with-a-gpu-of-no-name": (
            "a sample with a GPU of no name",
            {"gpus": [{"memory_bytes": 1}]},
            "`uuid`",
        ),
        "with-a-gpu-more-than-hot": (
            "a sample with a GPU of half a degree",
            {"gpus": [{**_GPU, "temperature_celsius": 40.5}]},
            "Expected `int`",
        ),
    }
    return (
        _fields("resources", names.RESOURCES, _CONTAINER, container)
        | _fields("resources", names.RESOURCES, _PHASE, phase)
        | _fields("resources", names.RESOURCES, _SAMPLE, sample)
    )


def _of_lines() -> dict[str, Row]:
    good = _line(_STEP)
    spelled = {
        "without-last-line-feed": ("cut the last line feed off the events", good[:-1], "no line feed"),
        "with-an-empty-line": ("put an empty line among the events", good + b"\n" + good, "not JSON"),
        "with-carriage-returns": ("ended the events with CR LF", good.replace(b"\n", b"\r\n"), "canonical"),
        "with-spaces": ("put spaces into the events", good.replace(b",", b", "), "canonical"),
        "with-a-key-twice": (
            "wrote a key of an event twice",
            good.replace(b"{", b'{"at":"x",', 1),
            "stands twice",
        ),
        "with-a-key-twice-by-escape": (
            "wrote a key of an event twice, once by an escape",
            good.replace(b'{"at"', b'{"\\u0061t":"x","at"', 1),
            "stands twice",
        ),
        "with-a-byte-order-mark": (
            "put a byte order mark before the events",
            b"\xef\xbb\xbf" + good,
            "not JSON",
        ),
        "in-utf-16": ("wrote the events in UTF-16", good.decode().encode("utf-16"), "not UTF-8"),
        "that-are-a-list": ("wrote the events as one list", b"[" + good[:-1] + b"]\n", "Expected `object`"),
        "of-bytes": ("wrote bytes for events", b"\xff\xfe\n", "not UTF-8"),
        "with-half-a-surrogate": (
            "put half a pair of surrogates into an event",
            good.replace(b'"image"', b'"\\ud800"'),
            "lone surrogate",
        ),
        "with-nan": ("put NaN into an event", good.replace(b"0.5", b"NaN"), "NaN"),
        "with-a-huge-number": ("put 1e400 into an event", good.replace(b"0.5", b"1e400"), "beyond a double"),
        "with-minus-zero": ("put -0 into an event", good.replace(b"0.5", b"-0"), "canonical"),
        "with-a-whole-float": ("put 1.0 into an event", good.replace(b"0.5", b"1.0"), "canonical"),
        "with-an-exponent": ("put 5e-1 into an event", good.replace(b"0.5", b"5e-1"), "canonical"),
        "deep": (
            "nested 100 lists in an event",
            good.replace(b"true", b"[" * 100 + b"]" * 100),
            "nested deeper",
        ),
        "very-deep": (
            "nested 500,000 lists in an event",
            good.replace(b"true", b"[" * 500_000 + b"]" * 500_000),
            "nested deeper",
        ),
    }
    table: dict[str, Row] = {
        f"events-{title}": (said, write(names.EVENTS, data), words)
        for title, (said, data, words) in spelled.items()
    }
    table["events-of-one-long-line"] = (
        "wrote one event of 3 MiB",
        made(names.EVENTS, lambda: _line({**_STEP, "step": "x" * (3 << 20)})),
        "is longer than",
    )
    table["resources-that-are-events"] = (
        "gave the events for resources",
        write(names.RESOURCES, json.dumps(_STEP).encode() + b"\n"),
        "canonical",
    )
    return table
