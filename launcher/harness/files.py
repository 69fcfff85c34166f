"""The files a harness left: which there are, and their bytes within bounds."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from launcher.canonical import parse_json
from launcher.errors import MalformedError
from launcher.harness.output import bad_log, shown

MAX_FILES: Final = 10_000
MAX_NESTING: Final = 250
MAX_VALUES: Final = 8_000_000


def log_files(folder: Path) -> dict[str, Path]:
    """Return the regular files below `folder` by their paths in it, sorted; links are not followed."""
    found = {}
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in names:
            path = Path(root, name)
            if stat.S_ISREG(path.lstat().st_mode):
                found[path.relative_to(folder).as_posix()] = path
            if len(found) > MAX_FILES:
                raise bad_log(f"there are more than {MAX_FILES} files")
    return dict(sorted(found.items()))


def read_whole(path: Path, limit: int) -> bytes:
    """Return the file's bytes, which may be `limit` at most."""
    with path.open("rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise bad_log(f"`{shown(path.name)}` is larger than {limit} bytes")
    return data


def read_lines(stream: BinaryIO, limit: int, name: str) -> Iterator[bytes]:
    """Yield each line without its line feed; one longer than `limit` is refused."""
    number = 0
    while line := stream.readline(limit + 1):
        number += 1
        if len(line) > limit:
            raise bad_log(f"line {number} of `{shown(name)}` is longer than {limit} bytes")
        yield line.removesuffix(b"\n")


def read_object(data: bytes, what: str) -> dict[str, Any]:
    """Return the JSON object in `data`, as Python programs write it: NaN and long integers included."""
    # Python takes some hundred bytes for what may be two in the file; commas in texts only make it stricter.
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MAX_VALUES:
        raise bad_log(f"{what} holds more than {MAX_VALUES} values")
    try:
        value = parse_json(data, what=what, max_depth=MAX_NESTING, exact=False)
    except MalformedError as error:
        raise bad_log(shown(error.message)) from error
    if not isinstance(value, dict):
        raise bad_log(f"{what} is not an object")
    return value
