"""What doctor says of one thing: its state, what was seen, and the command that mends it."""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

Status = Literal["ok", "warn", "fail"]


class HealthCheck(Struct, frozen=True):
    """One line of `doctor`; `fix` is empty where nothing is wrong."""

    name: str
    status: Status
    detail: str
    fix: str = ""


def ok(name: str, detail: str) -> HealthCheck:
    """Return the check of a thing that is as it should be."""
    return HealthCheck(name, "ok", detail)


def warn(name: str, detail: str, fix: str) -> HealthCheck:
    """Return the check of a thing that some launches can do without."""
    return HealthCheck(name, "warn", detail, fix)


def fail(name: str, detail: str, fix: str) -> HealthCheck:
    """Return the check of a thing without which nothing is launched, or nothing trusted, here."""
    return HealthCheck(name, "fail", detail, fix)


def worst(checks: Iterable[HealthCheck]) -> Status:
    """Return the worst status there is."""
    found = {check.status for check in checks}
    return "fail" if "fail" in found else "warn" if "warn" in found else "ok"
