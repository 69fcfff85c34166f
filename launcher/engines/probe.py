"""Read what the probe of `init/probe.c` says: lines of printable ASCII, all of them known, none missing."""

import errno
from collections.abc import Callable, Sequence
from typing import Any

from launcher.errors import InfrastructureError
from launcher.spec.probe import ProbeReport, Space
from launcher.spec.system_calls import call_name

MAX_REPORT = 192 << 10
_VERSION = ["probe", "1"]
_INFINITE = 1 << 53
_SETS = ("inheritable", "permitted", "effective", "bounding", "ambient")
_LIMITS = (
    *("cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile"),
    *("memlock", "as", "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"),
)


def read_probe(data: bytes) -> ProbeReport:
    """Return the report that a container's first process handed over.

    Raises `InfrastructureError` (`probe-malformed`) for one that is broken off or not of this form.
    """
    try:
        found: dict[str, Any] = {}
        for word, *rest in _lines(data):
            _READERS[word](found, rest)
        return ProbeReport(**found)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise InfrastructureError(
            "the report of the sandbox's probe is malformed",
            code="probe-malformed",
            context=f"{error!a}"[:200],
            hint="launch again; if it happens again, the engine or its runtime breaks the probe off",
        ) from error


def _lines(data: bytes) -> list[list[str]]:
    lines = [line.split(" ") for line in data.decode("ascii").split("\n")]
    if lines[0] != _VERSION or lines[-2:] != [["end"], [""]]:
        raise ValueError("it does not begin and end as it should")
    return lines[1:-2]


def _one(found: dict[str, Any], name: str, value: Any) -> None:
    if name in found:
        raise ValueError(f"{name} stands twice")
    found[name] = value


def _among(found: dict[str, Any], table: str, name: str, value: Any) -> None:
    _one(found.setdefault(table, {}), name, value)


def _ids(found: dict[str, Any], rest: Sequence[str]) -> None:
    first, second, third, *group = map(_natural, rest)
    _one(found, "user", (first, second, third))
    first, second, third = group
    _one(found, "group", (first, second, third))


def _groups(found: dict[str, Any], rest: Sequence[str]) -> None:
    _one(found, "groups", tuple(sorted(map(_natural, rest))))


def _sets(found: dict[str, Any], rest: Sequence[str]) -> None:
    if any(len(digits) != 16 or int(digits, 16) < 0 for digits in rest):
        raise ValueError("a set is not of 16 digits")
    _one(found, "capabilities", dict(zip(_SETS, rest, strict=True)))


def _guards(found: dict[str, Any], rest: Sequence[str]) -> None:
    privileges, seccomp = map(_natural, rest)
    _one(found, "no_new_privileges", bool(privileges))
    _one(found, "seccomp", seccomp)


def _answered(found: dict[str, Any], rest: Sequence[str]) -> None:
    (digits,) = rest
    bits = int.from_bytes(bytes.fromhex(digits), "little")
    numbers = [number for number in range(bits.bit_length()) if bits >> number & 1]
    _one(found, "answered", tuple(sorted(map(call_name, numbers))))


def _try(found: dict[str, Any], rest: Sequence[str]) -> None:
    what, answer = rest
    number = _natural(answer)
    _among(found, "attempts", what, errno.errorcode.get(number, answer) if number else "ok")


def _mount(found: dict[str, Any], rest: Sequence[str]) -> None:
    target, kind, options, first = rest
    given = options.split(",")
    if first == "ro" and "rw" in given:
        given[given.index("rw")] = "ro"
    if target.startswith("/.evalctl-"):
        # The launcher's own program, at a place that is another for each container.
        target = f"/.evalctl/{target.rpartition('/')[2]}"
    # What is mounted over another mount hides it.
    found.setdefault("mounts", {})[target] = f"{kind} {','.join(given)}"


def _limit(found: dict[str, Any], rest: Sequence[str]) -> None:
    number, *bounds = map(_natural, rest)
    soft, hard = (None if bound >= _INFINITE else bound for bound in bounds)
    _among(found, "limits", _LIMITS[number], (soft, hard))


def _space(found: dict[str, Any], rest: Sequence[str]) -> None:
    path, *amounts = rest
    _among(found, "scratch", path, Space(*(min(_natural(amount), _INFINITE) for amount in amounts)))


def _words(*names: str) -> "_Reader":
    def read(found: dict[str, Any], rest: Sequence[str]) -> None:
        for name, value in zip(names, rest, strict=True):
            _one(found, name, value)

    return read


def _number(name: str) -> "_Reader":
    def read(found: dict[str, Any], rest: Sequence[str]) -> None:
        (text,) = rest
        _one(found, name, _natural(text))

    return read


def _natural(text: str) -> int:
    if not text.isdecimal() or len(text) > 20:
        raise ValueError("not a number")
    return int(text)


_Reader = Callable[[dict[str, Any], Sequence[str]], None]
_READERS: dict[str, _Reader] = {
    "ids": _ids,
    "groups": _groups,
    "sets": _sets,
    "guards": _guards,
    "kernel": _words("kernel", "machine"),
    "version": _words("kernel_version"),
    "names": _words("hostname", "domainname"),
    "limit": _limit,
    "processors": _number("processors"),
    "processes": _number("processes"),
    "space": _space,
    "mount": _mount,
    "interfaces": lambda found, rest: _one(found, "interfaces", tuple(rest)),
    "see": lambda found, rest: _among(found, "visible", rest[0], _natural(rest[1])),
    "try": _try,
    "entry": lambda found, rest: _among(found, "entries", rest[0], rest[1]),
    "answered": _answered,
}
