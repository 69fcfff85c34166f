"""A host with canaries: what no evaluation may have touched, and how one tells."""

import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import Self

BRIDGE = "172.17.0.1"
MARK = "CANARY-OF-THE-HOST"
KERNEL = ("core_pattern", "hostname", "modprobe", "sysrq", "domainname", "randomize_va_space")


class Host:
    """Listeners nobody may reach, files nobody may change; `token` marks the processes of one session."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = f"hostile-{secrets.token_hex(8)}"
        self.abstract = f"evalctl-{self.token}"
        self.bridge = BRIDGE
        self._listeners: list[socket.socket] = []
        self.canary = folder / "canary.txt"
        self.port = 0

    def __enter__(self) -> Self:
        self.canary.write_text("as it was\n" * 100)
        self.canary.chmod(0o666)
        self.folder.chmod(0o777)
        (self.folder / "mark.txt").write_text(MARK)
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self._listeners:
            listener.close()

    def _listen(self) -> None:
        """Open the same port on every address an evaluation may think of, and a socket without a file."""
        first = socket.create_server(("127.0.0.1", 0))
        self.port = first.getsockname()[1]
        self._listeners.append(first)
        with suppress(OSError):
            self._listeners.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))
        with suppress(OSError):
            self._listeners.append(socket.create_server((self.bridge, self.port)))
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            datagrams.bind((self.bridge, self.port))
            self._listeners.append(datagrams)
        unnamed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        unnamed.bind(f"\0{self.abstract}")
        unnamed.listen()
        self._listeners.append(unnamed)
        for listener in self._listeners:
            listener.setblocking(False)

    def contacts(self) -> list[str]:
        """Return the addresses on which somebody was heard."""
        return [str(listener.getsockname()) for listener in self._listeners if _was_reached(listener)]

    def survivors(self) -> list[str]:
        """Return the command lines of this host's processes that carry the session's token."""
        own = {os.getpid(), os.getppid()}
        found = []
        for path in Path("/proc").iterdir():
            if path.name.isdigit() and int(path.name) not in own:
                with suppress(OSError):
                    words = (path / "cmdline").read_bytes()
                    if f"{self.token}\0".encode() in words and b"attack.py" in words:
                        found.append(words.replace(b"\0", b" ").decode(errors="replace"))
        return found

    def mounts(self) -> list[str]:
        """Return the mounts of this host that show one of the session's folders."""
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        return [line for line in lines if str(self.folder.parent) in line]


def _was_reached(listener: socket.socket) -> bool:
    try:
        if listener.type == socket.SOCK_DGRAM:
            listener.recv(1)
        else:
            listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def state_of(*folders: Path) -> dict[str, tuple[int, ...]]:
    """Return what can be told of every file under `folders`: mode, owner, size, links, and times."""
    there = [folder for folder in folders if folder.exists()]
    return {str(path): _facts(path) for folder in there for path in (folder, *folder.rglob("*"))}


def _facts(path: Path) -> tuple[int, ...]:
    facts = path.lstat()
    return (
        *(facts.st_mode, facts.st_uid, facts.st_gid, facts.st_size, facts.st_nlink, facts.st_ino),
        *(facts.st_mtime_ns, facts.st_ctime_ns),
    )


def kernel_settings() -> dict[str, str]:
    """Return the settings of the kernel that an escape would change first."""
    folder = Path("/proc/sys/kernel")
    return {name: (folder / name).read_text() for name in KERNEL if (folder / name).exists()}
