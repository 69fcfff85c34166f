"""Try a case: make it, run the real command on it in this process, and watch what the process does.

What is opened, and whether anything is written, started or connected, is seen through Python's audit events
(https://docs.python.org/3/library/audit_events.html): a bundle must not lead anywhere.
"""

import contextlib
import io
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from msgspec import Struct

from launcher.cli.app import run
from launcher.store.removal import remove_tree
from tests.bundles.case import BUNDLE
from tests.bundles.corpus import cases

_MEMORY = Path("/dev/shm")
_OUTWARD = (
    "socket.",
    "subprocess.",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.system",
    "shutil.",
    "urllib.",
)
_CHANGES = (
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.truncate",
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Trial(Struct, frozen=True):
    """What came of a case: exit code and streams, with `--json` and for people; and what else was done.

    `opened` are the paths that were opened in a way that could lead out of the case's folder; `broken` is the
    trace of whatever was not foreseen.
    """

    name: str
    code: int
    json: str
    error: str
    text_code: int
    text: str
    talk: str
    seconds: float
    opened: tuple[str, ...]
    broken: str = ""


class Watch:
    """Remembers what a process does while it is `on`."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take one audit event."""
        if not self.on:
            return
        if event == "open":
            path, _, flags = arguments
            if said := _opened(path, flags or 0):
                self.seen.append(said)
        elif event.startswith((*_OUTWARD, *_CHANGES)):
            self.seen.append(f"{event} {arguments}")


def _opened(path: Any, flags: int) -> str | None:
    """Say what was opened where that could write, or read outside the case's folder; else return None."""
    if isinstance(path, int):
        return None
    text = os.fsdecode(path)
    if flags & _WRITES:
        return f"wrote {text}"
    if text.startswith(_OWN) or text.startswith("home/") or text in (BUNDLE, "key.pub", "trust.toml"):
        return None
    # One step down from a folder that is held open, and never through a link.
    if "/" not in text and text not in ("..", ".") and flags & os.O_NOFOLLOW:
        return None
    return f"read {text}"


# Modules and their data, which Python opens when it imports them.
_OWN = tuple({sys.prefix, sys.base_prefix, str(Path(__file__).parents[2]), str(Path(os.__file__).parent)})
_WATCH = Watch()


def begin() -> None:
    """Prepare a worker process: from now on it is watched."""
    # What Python keeps of the modules it compiles is no doing of a bundle's.
    sys.dont_write_bytecode = True
    sys.addaudithook(_WATCH.hear)
    os.environ["NO_COLOR"] = "1"


def attempt(name: str) -> Trial:
    """Make the case with this name in a folder of its own, and try it."""
    case = next(case for case in cases() if case.name == name)
    root = Path(tempfile.mkdtemp(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None))
    try:
        case.build(root / case.name)
        os.chdir(root / case.name)
        os.environ["EVALCTL_HOME"] = str(root / case.name / "home")
        return _try(name, case.arguments, root)
    finally:
        os.chdir("/")
        remove_tree(root)


def _try(name: str, arguments: tuple[str, ...], root: Path) -> Trial:
    before = _listing(root)
    started, broken = time.monotonic(), ""
    _WATCH.seen.clear()
    machine, human = (-1, "", ""), (-1, "", "")
    _WATCH.on = True
    try:
        machine = _run([*arguments, "--json"])
        human = _run([*arguments])
    except BaseException:  # noqa: BLE001 - whatever it is, the test has to tell of it
        broken = traceback.format_exc()
    finally:
        _WATCH.on = False
    seconds = time.monotonic() - started
    home = f"{root / name}/home"
    seen = [text for text in _WATCH.seen if not text.startswith(f"read {root}") and home not in text]
    if _listing(root) != before:
        seen.append("changed files of the case")
    return Trial(name, *machine, *human, seconds, tuple(seen), broken)


def _run(arguments: list[str]) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
    return code, out.getvalue(), err.getvalue()


def _listing(root: Path) -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = []
    for folder, folders, names in os.walk(root):
        # A home remembers the policies that were seen, so that none is rolled back.
        folders[:] = [name for name in folders if name != "home"]
        found += [(f"{folder}/{name}", 0, 0) for name in folders]
        for name in names:
            facts = Path(folder, name).lstat()
            found.append((f"{folder}/{name}", facts.st_mtime_ns, facts.st_size))
    return sorted(found)


def peak_memory() -> int:
    """Return the most bytes of memory that this process had at once, without what it was forked from."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (most,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(most) * 1024
