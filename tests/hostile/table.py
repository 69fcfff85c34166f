"""What is expected of each attack, as two tables state it, and the page that shows them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "hostile.md"
HEAD = """# What was tried against the sandbox

A hostile evaluation of evalctl's own (`tests/hostile/`) is launched like any other, by the real command, on
real engines: Docker with runc, Docker with gVisor's runsc, and Podman with runc. This page states each attack
and what must come of it; `python -m tests.hostile.write_page` writes it from the tables that the tests read
(`table.toml`, `launches.toml`).

After every launch, whatever it tried, these must hold:

- its signed bundle verifies, failed runs' too, and every line that `show` prints of it is plain text;
- nobody knocked at listeners on 127.0.0.1, ::1, the engine's bridge and a UNIX socket without a file;
- a file and a folder that everybody may write, evalctl's own files, cached inputs and code, and settings of
  the kernel are as before;
- no process of it runs, no mount and no container is left, and the home holds no more than bundles, cache and
  journal.

## Attempts that must fail inside

One container for each class. It answers for each attempt in `samples.jsonl`; the answers below are the
held-out labels, and the metric `as-expected` must be 1. `refused` stands for the errors by which a kernel
says no, or that there is no such thing. Under runsc `guest` means that gVisor's own kernel answers, whatever
it says: the host's kernel does not see the attempt.
"""
LAUNCHES = """
## Launches that end in a way of their own

`once`: what the container's kernel has no part in is launched under one runtime only.
"""


@dataclass(frozen=True)
class Attempt:
    """One thing that is tried inside, and the answers that it must get."""

    name: str
    group: str
    tries: str
    answer: str
    runsc: str = ""

    def expected(self, runtime: str) -> str:
        """Return the answer under `runtime`."""
        return self.runsc or self.answer if runtime == "runsc" else self.answer


@dataclass(frozen=True)
class Launch:
    """One launch, and what must come of it; `failures` may be several where a race decides."""

    name: str
    group: str
    tries: str
    failures: tuple[str, ...] = ()
    verdict: str = "none"
    holds: tuple[str, ...] = ()
    change: Mapping[str, str] = field(default_factory=dict)
    once: bool = False
    slow: bool = False
    runsc: Mapping[str, Any] = field(default_factory=dict)

    def under(self, runtime: str) -> "Launch":
        """Return what is expected under `runtime`."""
        return replace(self, **self.runsc) if runtime == "runsc" else self

    @property
    def exit_code(self) -> int:
        """What `evalctl launch` must exit with, where it is not left to a race."""
        return 0 if self.verdict == "pass" else 1


def read_attempts() -> tuple[Attempt, ...]:
    """Return the rows of `table.toml`."""
    table = _read("table.toml")
    return tuple(
        Attempt(name, group, **values) for group, rows in table.items() for name, values in rows.items()
    )


def read_launches() -> tuple[Launch, ...]:
    """Return the rows of `launches.toml`."""
    return tuple(_launch(name, dict(row)) for name, row in _read("launches.toml").items())


def _launch(name: str, row: dict[str, Any]) -> Launch:
    once, runsc = row.pop("where", "") == "once", _values(dict(row.pop("runsc", {})))
    return Launch(name, row.pop("class"), row.pop("tries"), once=once, runsc=runsc, **_values(row))


def _values(row: dict[str, Any]) -> dict[str, Any]:
    if "failure" in row:
        failure = row.pop("failure")
        row["failures"] = (failure,) if isinstance(failure, str) else tuple(failure)
    if "holds" in row:
        row["holds"] = tuple(row["holds"])
    return row


def _read(name: str) -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads((HERE / name).read_text(encoding="utf-8"))


def page() -> str:
    """Return the page that shows both tables."""
    attempts, launches = read_attempts(), read_launches()
    lines = [HEAD]
    for group in dict.fromkeys(attempt.group for attempt in attempts):
        lines.append(f"### {group.capitalize()}\n")
        lines.append("| attempt | what it tries | answer | under runsc |\n|---|---|---|---|")
        lines += [_attempt_row(attempt) for attempt in attempts if attempt.group == group]
        lines.append("")
    lines.append(LAUNCHES.strip() + "\n")
    lines.append("| launch | class | what it tries | failure | verdict | exit | holds too |")
    lines.append("|---|---|---|---|---|---|---|")
    lines += [_launch_row(launch) for launch in launches]
    return "\n".join(lines).rstrip() + "\n"


def _attempt_row(attempt: Attempt) -> str:
    return f"| {attempt.name} | {attempt.tries} | {attempt.answer} | {attempt.runsc or 'the same'} |"


def _differences(launch: Launch) -> str:
    named = {
        name: value if isinstance(value, str) else " ".join(value) for name, value in launch.runsc.items()
    }
    return ", ".join(f"{name} {value or 'none'}" for name, value in named.items())


def _launch_row(launch: Launch) -> str:
    notes = [f"under runsc: {_differences(launch)}"] if launch.runsc else []
    notes += ["once"] if launch.once else []
    marks = f" ({'; '.join(notes)})" if notes else ""
    failure = " or ".join(name or "none" for name in launch.failures) or "none"
    decided = len(launch.failures) < 2
    verdict, code = (launch.verdict, str(launch.exit_code)) if decided else ("as it failed", "0 or 1")
    holds = ", ".join(launch.holds) or "-"
    cells = (launch.name, launch.group, f"{launch.tries}{marks}", failure, verdict, code, holds)
    return f"| {' | '.join(cells)} |"
