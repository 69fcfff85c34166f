"""Attacks on the folder that is kept across the attempts of a resumable run: it is a disk of the host's."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from endings import MIB, be_honest, ending

STATE = Path("/eval/state")


@ending
def state_planted() -> None:
    """Links out, sockets, set-user-ID programs, odd names, a deep tree: nothing of it is followed or kept."""
    be_honest()
    (STATE / "link").symlink_to("/etc/passwd")
    (STATE / "up").symlink_to("../../../../../../../etc")
    (STATE / "program").write_text("x")
    (STATE / "program").chmod(0o6777)
    with contextlib.suppress(OSError):
        os.link("/eval/inputs/canary", STATE / "canary")
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).bind(str(STATE / "socket"))
    for name in (b"new\nline", b"\x1b[31m", b"\xff\xfe"):
        os.close(os.open(bytes(STATE) + b"/" + name, os.O_CREAT | os.O_WRONLY))
    os.chdir(STATE)
    for _ in range(40):
        os.mkdir("d")
        os.chdir("d")


@ending
def state_executed() -> None:
    """Run what one wrote there: that works, and gains nothing but a widening that the result names."""
    shutil.copy("/eval/code/low", STATE / "program")
    (STATE / "program").chmod(0o755)
    subprocess.run([STATE / "program", "hello"], check=True)
    be_honest()


@ending
def state_overgrown() -> None:
    """Eight times what it may hold, in a file with a name."""
    be_honest()
    _write(STATE / "large", unlink=False)


@ending
def state_without_names() -> None:
    """Eight times what it may hold, in files that have no name any more."""
    be_honest()
    _write(STATE / "gone", unlink=True)


def _write(path: Path, *, unlink: bool) -> None:
    kept = []
    for number in range(16):
        file = path.with_name(f"{path.name}{number}").open("wb", buffering=0)
        kept.append(file)
        if unlink:
            path.with_name(f"{path.name}{number}").unlink()
        for _ in range(4):
            file.write(b"x" * MIB)
    time.sleep(4)
