"""Read the lines of a bundle's events.jsonl and resources.jsonl strictly, and keep none of them.

Their fields are those of the schemas `bundle-events` and `resources`. Lines are read whole blocks at a time
by msgspec and written again, as samples are: what is certain to be canonical is done with; all else is read
line by line, exactly.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from launcher.canonical import MAX_DEPTH, MAX_INTEGER, canonical_bytes, is_plain, parse_json
from launcher.errors import CheckFailedError, MalformedError
from launcher.spec.fields import TIME, instant

MAX_RECORD_LINE: Final = 2 << 20
# As many as there may be samples, each of which may say how long it took, and what containers tell beside.
MAX_RECORD_LINES: Final = 6_000_000
_BLOCK: Final = 1 << 18

_Text = Annotated[str, Meta(min_length=1)]
_Count = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
_Amount = Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0)]
_Time = Annotated[str, Meta(pattern=rf"\A(?:{TIME})\Z")]


class _Line(Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line; a field that may be missing is never null."""


class _Step(_Line, frozen=True, kw_only=True, tag_field="source", tag="launcher"):
    step: _Text
    at: _Time | UnsetType = UNSET
    seconds: _Amount | UnsetType = UNSET
    detail: dict[str, Any] | UnsetType = UNSET


class _Told(_Line, frozen=True, kw_only=True, tag_field="source", tag="container"):
    step: _Text
    replicate: _Count
    phase: str | UnsetType = UNSET
    seconds: _Amount | UnsetType = UNSET
    detail: Any = UNSET


class _Stream(_Line, frozen=True, kw_only=True):
    bytes: _Count
    kept: _Count
    truncated: bool


class _Logs(_Line, frozen=True, kw_only=True):
    stdout: _Stream
    stderr: _Stream


class _Own(_Line, frozen=True, kw_only=True):
    phase: _Text
    seconds: _Amount
    cpu_user_seconds: _Amount
    cpu_system_seconds: _Amount
    max_rss_bytes: _Count
    output_bytes: _Count
    read_bytes: _Count | UnsetType = UNSET
    written_bytes: _Count | UnsetType = UNSET


class _Container(_Own, frozen=True, kw_only=True, tag_field="kind", tag="container"):
    replicate: _Count
    logs: _Logs
    service: _Text | UnsetType = UNSET
    source: Literal["cgroup-v1", "cgroup-v2", "engine"] | UnsetType = UNSET
    interval: _Amount | UnsetType = UNSET
    samples: _Count | UnsetType = UNSET
    memory_peak_bytes: _Count | UnsetType = UNSET
    pids_peak: _Count | UnsetType = UNSET
    memory_kills: _Count | UnsetType = UNSET
    memory_refusals: _Count | UnsetType = UNSET
    pids_refusals: _Count | UnsetType = UNSET
    cpu_seconds: _Amount | UnsetType = UNSET
    throttled_seconds: _Amount | UnsetType = UNSET


class _Phase(_Own, frozen=True, kw_only=True, tag_field="kind", tag="phase"):
    containers: _Count


class _Gpu(_Line, frozen=True, kw_only=True):
    uuid: _Text
    utilisation: _Amount | UnsetType = UNSET
    memory_bytes: _Count | UnsetType = UNSET
    power_watts: _Amount | UnsetType = UNSET
    temperature_celsius: int | UnsetType = UNSET
    sm_clock_mhz: _Count | UnsetType = UNSET


class _Sample(_Line, frozen=True, kw_only=True, tag_field="kind", tag="sample"):
    replicate: _Count
    phase: _Text
    at: _Amount
    service: _Text | UnsetType = UNSET
    cpu_seconds: _Amount | UnsetType = UNSET
    throttled_seconds: _Amount | UnsetType = UNSET
    read_bytes: _Count | UnsetType = UNSET
    written_bytes: _Count | UnsetType = UNSET
    memory_bytes: _Count | UnsetType = UNSET
    anonymous_bytes: _Count | UnsetType = UNSET
    file_bytes: _Count | UnsetType = UNSET
    pids: _Count | UnsetType = UNSET
    gpus: list[_Gpu] | UnsetType = UNSET


_encoder: Final = msgspec.json.Encoder(order="sorted")


class _Form(Struct, frozen=True):
    """The lines of one file, and how msgspec reads them."""

    name: str
    kinds: Any
    decoder: "msgspec.json.Decoder[Any]"


_EVENTS: Final = _Form("events.jsonl", _Step | _Told, msgspec.json.Decoder(_Step | _Told))
_USED: Final = _Container | _Phase | _Sample
_RESOURCES: Final = _Form("resources.jsonl", _USED, msgspec.json.Decoder(_USED))


def check_event_lines(data: Iterable[bytes]) -> int:
    """Return how many lines there are in an events.jsonl, whose bytes `data` gives piece by piece.

    Raises `CheckFailedError` (`bad-records`) with the line's number.
    """
    return _check(data, _EVENTS)


def check_resource_lines(data: Iterable[bytes]) -> int:
    """Return how many lines there are in a resources.jsonl; raises as `check_event_lines` does."""
    return _check(data, _RESOURCES)


def _check(data: Iterable[bytes], form: _Form) -> int:
    count = 0
    for block in _whole_lines(data, form.name):
        lines = block.count(b"\n")
        if count + lines > MAX_RECORD_LINES:
            raise _bad(form.name, MAX_RECORD_LINES + 1, f"there are more than {MAX_RECORD_LINES} lines")
        if not _is_certain(block, form):
            for number, line in enumerate(block[:-1].split(b"\n"), count + 1):
                if not _is_certain(line + b"\n", form):
                    _check_line(line, number, form)
        count += lines
    return count


def _whole_lines(data: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Cut `data` anew into blocks of whole lines, each with its line feed."""
    left = b""
    for piece in data:
        for start in range(0, len(piece), _BLOCK):
            left += piece[start : start + _BLOCK]
            end = left.rfind(b"\n") + 1
            if end:
                yield left[:end]
                left = left[end:]
            if len(left) > MAX_RECORD_LINE:
                raise _refused(f"a line of `{name}` is longer than {MAX_RECORD_LINE} bytes")
    if left:
        raise _refused(f"the last line of `{name}` has no line feed")


def _is_certain(block: bytes, form: _Form) -> bool:
    """Say whether it is certain that whole lines are well-formed and canonical; False says nothing."""
    try:
        lines: list[Any] = form.decoder.decode_lines(block)
        same = _encoder.encode_lines(lines) == block
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    if not same or not all(line.count(b"{") + line.count(b"[") <= MAX_DEPTH for line in block.split(b"\n")):
        return False
    return all(map(_is_plain_line, lines))


def _is_plain_line(line: Any) -> bool:
    """Say whether msgspec writes the numbers of a line as RFC 8785 does."""
    if isinstance(line, _Step | _Told):
        plain = all(value is UNSET or is_plain(value) for value in (line.seconds, line.detail))
        return plain and (isinstance(line, _Told) or _exists(line.at))
    return is_plain(msgspec.to_builtins(line))


def _check_line(line: bytes, number: int, form: _Form) -> None:
    """Raise `CheckFailedError` unless a line is well-formed and canonical, the slow and exact way."""
    try:
        value = parse_json(line, what="it")
        if canonical_bytes(value) != line:
            raise _bad(form.name, number, "it is not in canonical form (RFC 8785)")
        read = msgspec.convert(value, form.kinds)
    except MalformedError as error:
        raise _bad(form.name, number, error.message) from error
    except msgspec.ValidationError as error:
        raise _bad(form.name, number, str(error)) from error
    if isinstance(read, _Step) and not _exists(read.at):
        raise _bad(form.name, number, "`at` is not a time that exists")


def _exists(at: str | UnsetType) -> bool:
    try:
        return at is UNSET or bool(instant(at))
    except ValueError:
        return False


def _bad(name: str, number: int, reason: str) -> CheckFailedError:
    return _refused(f"line {number} of `{name}`: {reason}")


def _refused(message: str) -> CheckFailedError:
    return CheckFailedError(message, code="bad-records")
