"""What a sandbox let its first process do: the report of the probe, as a bundle keeps it."""

from typing import Any

from msgspec import Struct, ValidationError, convert, to_builtins

from launcher.errors import CheckFailedError


class Space(Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """A folder in memory: all its bytes and inodes (0: not counted), and what was free of them."""

    bytes: int
    inodes: int
    free_bytes: int
    free_inodes: int


class ProbeReport(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """Observations of one container, made by trying, before its command was started.

    `user` and `group` are real, effective and saved ids; `capabilities` are five sets in hexadecimal.
    `answered` are the system calls that answer at all. `attempts` name what was tried: `ok`, or the kernel's
    refusal. `visible` counts what can be read of a file or folder. `mounts` have a type and options each.
    `limits` are soft and hard, None without bound; `processes` are those to be seen.
    """

    user: tuple[int, int, int]
    group: tuple[int, int, int]
    groups: tuple[int, ...]
    capabilities: dict[str, str]
    no_new_privileges: bool
    seccomp: int
    answered: tuple[str, ...]
    entries: dict[str, str]
    attempts: dict[str, str]
    visible: dict[str, int]
    mounts: dict[str, str]
    interfaces: tuple[str, ...]
    limits: dict[str, tuple[int | None, int | None]]
    scratch: dict[str, Space]
    kernel: str
    kernel_version: str
    machine: str
    hostname: str
    domainname: str
    processors: int
    processes: int

    def as_json(self) -> dict[str, Any]:
        """Return the report as environment.json holds it."""
        return dict(to_builtins(self))


def report_from_json(value: Any) -> ProbeReport:
    """Read what `as_json` gave; raises `CheckFailedError` for anything else."""
    try:
        return convert(value, ProbeReport)
    except ValidationError as error:
        raise CheckFailedError(
            "a report of the probe is malformed", code="bad-environment", context=str(error)
        ) from error
