"""Show doctor's checks in a terminal: one line each, and below a bad one what to type."""

from collections.abc import Iterator, Sequence

from launcher.report.text import cut_middle, wrapped
from launcher.spec.health import HealthCheck

_STATUS, _NAME = 6, 18


def checkup(checks: Sequence[HealthCheck]) -> str:
    """Return the lines of all checks, and a count of each status last."""
    lines = [line for check in checks for line in _check(check)]
    counts = {
        status: sum(1 for check in checks if check.status == status) for status in ("ok", "warn", "fail")
    }
    return "\n".join([*lines, ", ".join(f"{count} {status}" for status, count in counts.items())])


def _check(check: HealthCheck) -> Iterator[str]:
    head = f"{check.status:<{_STATUS}}{cut_middle(check.name, _NAME - 1):<{_NAME}}"
    yield from wrapped(check.detail, first=head, indent=_STATUS)
    if check.fix:
        yield from wrapped(check.fix, first=" " * _STATUS + "fix: ", indent=_STATUS + 5)
