"""Show in a terminal what was found about bundles: a verification, and how two runs compare."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from launcher.report.reproduced import is_told, reproduced_text, who_reproduced
from launcher.report.text import WIDTH, table, wrapped
from launcher.trust.tally import tally

if TYPE_CHECKING:
    from launcher.metrics.agreement import Agreement
    from launcher.trust.checks import Check
    from launcher.trust.reproductions import CountedReproduction

_MOST_SHOWN = 10
_HEX = re.compile(r"([0-9a-f]{12})[0-9a-f]{52}")
_INDENT = 9


def verification(
    verdict: str,
    digest: str | None,
    checks: "Sequence[Check]",
    reproductions: "Sequence[CountedReproduction]",
) -> str:
    """Return the lines of a verification: one or two a check, the reproductions, the verdict last."""
    lines = [line for check in checks for line in _check(check)]
    found = tally(reproductions, checks)
    if is_told(found):
        lines += wrapped(reproduced_text(found), indent=_INDENT)
    for said in who_reproduced(reproductions):
        lines += wrapped(said, first=" " * _INDENT, indent=_INDENT + 2)
    lines.append(f"{verdict} {digest or ''}".rstrip())
    return "\n".join(lines)


def _check(check: "Check") -> Iterator[str]:
    """Yield the check on one line where it fits, else its detail on lines of its own."""
    name = _HEX.sub(r"\1...", check.name)
    head = f"{check.status:<{_INDENT}}{name}"
    line = f"{head}: {check.detail}" if check.detail else head
    if len(line) <= WIDTH:
        yield from wrapped(line)
        return
    yield from wrapped(head)
    yield from wrapped(check.detail, first=" " * _INDENT, indent=_INDENT)


def agreement(found: "Agreement") -> str:
    """Return how two runs compare: a line for each metric, but those that came out identical in one."""
    same = [metric for metric in found.metrics if metric.verdict == "identical"]
    shown = found.metrics if len(found.metrics) <= _MOST_SHOWN else found.metrics[:1]
    shown += tuple(metric for metric in found.metrics if metric not in (*same, *shown))
    rows = [("metric", "original", "reproduced", "verdict")]
    rows += [(item.name, _number(item.original), _number(item.reproduced), item.verdict) for item in shown]
    lines = table(rows)
    if len(shown) < len(found.metrics):
        lines.append(f"+ {len(found.metrics) - len(shown)} more metrics, identical")
    reasons: dict[str, list[str]] = {}
    for item in shown:
        if item.verdict != "identical":
            reasons.setdefault(item.reason, []).append(item.name)
    for reason, names in reasons.items():
        lines += wrapped(f"{_together(names)}: {reason}", indent=2)
    lines.append(f"samples: {found.samples.equal} of {found.samples.n} equal")
    return "\n".join(lines)


def _together(names: "list[str]") -> str:
    return ", ".join(names) if len(names) <= _MOST_SHOWN else f"{names[0]} and {len(names) - 1} more"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.12g}"
