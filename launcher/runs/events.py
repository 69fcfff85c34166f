"""The log of an attempt: every step of launcher and container, in order, for `events.jsonl`."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from launcher.canonical import canonical_bytes, parse_json
from launcher.errors import MalformedError
from launcher.report.progress import Reporter
from launcher.spec.sample import BundledSamples

MAX_CONTAINER_EVENTS = 100_000
MAX_LINE_BYTES = 64 << 10


class EventLog:
    """Collects the launcher's own steps as they happen; safe to use from several threads."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.started = now()
        self._events: list[Mapping[str, Any]] = []
        self._lock = threading.Lock()

    @contextmanager
    def step(self, name: str, text: str = "", **detail: Any) -> Iterator[dict[str, Any]]:
        """Time a step; `text`, when given, is shown to the person. Yields the detail, to be added to."""
        if text:
            self.reporter.stage(text)
        at, start = now(), time.monotonic()
        try:
            yield detail
        finally:
            self.add(name, at=at, seconds=round(time.monotonic() - start, 6), detail=detail)

    def add(
        self, name: str, *, at: str | None = None, seconds: float | None = None, detail: Mapping[str, Any]
    ) -> None:
        """Record a step that happened."""
        event: dict[str, Any] = {"source": "launcher", "at": at or now(), "step": name}
        if seconds is not None:
            event["seconds"] = seconds
        if detail:
            event["detail"] = dict(detail)
        with self._lock:
            self._events.append(event)

    def events(self) -> list[Mapping[str, Any]]:
        """Return what was recorded so far, in the order in which the steps ended."""
        with self._lock:
            return list(self._events)


def now() -> str:
    """Return the current time as RFC 3339 text in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(monotonic: float) -> str:
    """Return the time, as `now` does, of a moment of this process's monotonic clock."""
    ago = timedelta(seconds=time.monotonic() - monotonic)
    return (datetime.now(UTC) - ago).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_container_events(data: bytes, replicate: int) -> list[Mapping[str, Any]]:
    """Read the container's `events.jsonl` strictly and mark each event with its source.

    Raises `MalformedError` (`bad-events`) naming the line.
    """
    lines = data.removesuffix(b"\n").split(b"\n")
    if len(lines) > MAX_CONTAINER_EVENTS:
        raise _bad(len(lines), f"more than {MAX_CONTAINER_EVENTS} events")
    return [_event(line, number, replicate) for number, line in enumerate(lines, 1) if line.strip()]


def _event(line: bytes, number: int, replicate: int) -> Mapping[str, Any]:
    if len(line) > MAX_LINE_BYTES:
        raise _bad(number, f"longer than {MAX_LINE_BYTES} bytes")
    try:
        event = parse_json(line, what="the event")
    except MalformedError as error:
        raise _bad(number, error.message) from error
    if not isinstance(event, dict) or not isinstance(event.get("step"), str) or not event["step"]:
        raise _bad(number, "not an object with a `step`")
    if unknown := set(event) - {"step", "phase", "seconds", "detail"}:
        raise _bad(number, f"unknown key `{min(unknown)}`")
    if not isinstance(event.get("phase", ""), str) or not _is_seconds(event.get("seconds", 0)):
        raise _bad(number, "`phase` must be text, `seconds` a number >= 0")
    return {"source": "container", "replicate": replicate, **event}


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _bad(number: int, reason: str) -> MalformedError:
    return MalformedError(
        f"`/eval/out/events.jsonl` line {number}: {reason}",
        code="bad-events",
        hint='write one object a line: {"step": "loading", "phase": "run", "seconds": 0.1}',
    )


def sample_events(bundled: BundledSamples) -> list[Mapping[str, Any]]:
    """Return how long each sample took, as events: samples hold no clock."""
    return [
        {
            "source": "container",
            "replicate": timing.replicate,
            "step": "sample",
            "seconds": timing.seconds,
            "detail": {
                key: value
                for key, value in (("id", timing.id), ("task", timing.task), ("epoch", timing.epoch))
                if value is not None
            },
        }
        for timing in bundled.timings
    ]


def events_bytes(events: list[Mapping[str, Any]]) -> bytes:
    """Return the bytes of `events.jsonl`: one canonical object a line."""
    return b"".join(canonical_bytes(event) + b"\n" for event in events)
