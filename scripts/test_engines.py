"""Start container engines for tests alone: a second Docker Engine with gVisor's runsc, and Podman.

Usage: python -m scripts.test_engines start|stop runsc|podman|podman-runsc

`start` prints an address for DOCKER_HOST or CONTAINER_HOST; the engine runs until `stop`. Each has sockets,
storage and processes of its own under `build/engines/` and no network; the machine's engine is not touched.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, get_args

from scripts.console import SetupError
from scripts.daemons import end_all, lives, start_detached, unmount_below, until
from scripts.engine import ping

ROOT = Path(__file__).resolve().parent.parent
Kind = Literal["runsc", "podman", "podman-runsc"]
_SEARCH_PATH: Final = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
_NEEDED: Final[dict[Kind, tuple[str, ...]]] = {
    "runsc": ("dockerd", "containerd", "runc", "runsc"),
    "podman": ("podman", "conmon", "runc"),
    "podman-runsc": ("podman", "conmon", "runc", "runsc"),
}
_START_SECONDS: Final = 60.0
# What a Unix socket's address holds, less the longest name that engines put below a folder of theirs.
_LONGEST_FOLDER: Final = 107 - 40
_MANUAL: Final = "manual"


@dataclass(frozen=True, slots=True)
class OwnEngine:
    """An engine below `folder`; it can be started, killed and started again at the same address."""

    kind: Kind
    folder: Path

    @property
    def address(self) -> str:
        """What DOCKER_HOST or CONTAINER_HOST names it by."""
        return f"unix://{self.folder}/engine.sock"

    @property
    def log(self) -> Path:
        """Where the engine says what it does."""
        return self.folder / "engine.log"

    def start(self) -> None:
        """Return once the engine answers; raise `SetupError` where it does not.

        What an earlier run left here ends first, unless an engine of ours answers already.
        """
        if ping(self.address).state == "ready":
            return
        self.stop()
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in (*self.folder.glob("*.pid"), *self.folder.glob("*.sock*")):
            left.unlink()
        process = self._start_docker() if self.kind == "runsc" else self._start_podman()
        self._await(process)

    def start_daemon(self) -> None:
        """Start a Docker Engine again after `kill`; its containerd and its containers may still run."""
        (self.folder / "engine.pid").unlink(missing_ok=True)
        self._await(self._start_dockerd())

    def kill(self) -> None:
        """Kill the daemon alone, as a crash does; containers go on."""
        pid = int((self.folder / "engine.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        until(lambda: not lives(pid))

    def stop(self) -> None:
        """End the engine with all its containers."""
        end_all(self.folder)
        unmount_below(_short(self.folder))
        shutil.rmtree(_short(self.folder), ignore_errors=True)

    def _start_docker(self) -> "subprocess.Popen[bytes]":
        socket = self.folder / "containerd.sock"
        (self.folder / "containerd.toml").write_text(_containerd_toml(self.folder, socket))
        runtimes = {"runsc": {"path": shutil.which("runsc", path=_SEARCH_PATH), "runtimeArgs": _RUNSC_FLAGS}}
        (self.folder / "daemon.json").write_text(json.dumps({"runtimes": runtimes}))
        settings = str(self.folder / "containerd.toml")
        command = ["containerd", "--config", settings, "--log-level", "warn"]
        process = start_detached(command, self.folder / "containerd.log", _environment())
        _await_file(socket, process, self.folder / "containerd.log")
        return self._start_dockerd()

    def _start_dockerd(self) -> "subprocess.Popen[bytes]":
        command: list[str | Path] = ["dockerd", "--config-file", self.folder / "daemon.json"]
        command += ["--host", self.address, "--containerd", self.folder / "containerd.sock"]
        command += ["--data-root", self.folder / "data", "--exec-root", self.folder / "run"]
        command += ["--pidfile", self.folder / "engine.pid", "--bridge", "none", "--iptables=false"]
        command += ["--ip-forward=false", "--ip-masq=false", "--log-level", "warn"]
        return start_detached(command, self.log, _environment())

    def _start_podman(self) -> "subprocess.Popen[bytes]":
        runsc = self.folder / "runsc"
        flags = " ".join(_RUNSC_FLAGS)
        runsc.write_text(f'#!/bin/sh\nexec {shutil.which("runsc", path=_SEARCH_PATH)} {flags} "$@"\n')
        runsc.chmod(0o755)
        (self.folder / "containers.conf").write_text(
            _containers_conf(self.folder, runsc, "runc" if self.kind == "podman" else "runsc")
        )
        (self.folder / "storage.conf").write_text(_storage_conf(self.folder))
        environment = _environment() | {
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
        }
        command = ["podman", "--log-level", "warn", "system", "service", "--time", "0", self.address]
        process = start_detached(command, self.log, environment)
        (self.folder / "engine.pid").write_text(f"{process.pid}\n")
        return process

    def _await(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + _START_SECONDS
        while ping(self.address).state != "ready":
            if time.monotonic() > deadline or process.poll() is not None:
                raise _silent(f"{self.kind}'s engine does not answer at `{self.address}`", self.log)
            time.sleep(0.05)


# systrap came to gVisor after Debian 12's, which has ptrace; kvm is never asked for.
_RUNSC_FLAGS: Final = ["--network=none", "--platform=ptrace"]


def missing_programs(kind: Kind) -> list[str]:
    """Return what `kind` needs and this machine has not."""
    return [name for name in _NEEDED[kind] if shutil.which(name, path=_SEARCH_PATH) is None]


def place(root: Path, name: str) -> Path:
    """Return the folder of the engine called `name`: elsewhere where a checkout lies too deep for sockets."""
    folder = root / "build" / "engines" / name
    if len(str(folder)) <= _LONGEST_FOLDER:
        return folder
    return _short(folder)


def _short(folder: Path) -> Path:
    """Return a folder with a short name that belongs to `folder`."""
    return Path(tempfile.gettempdir()) / f"evalctl-{sha256(str(folder).encode()).hexdigest()[:12]}"


@contextmanager
def lent(root: Path, kind: Kind, purpose: str = "tests") -> Iterator[OwnEngine]:
    """Lend an engine for a block; what a killed process left of one is ended and its storage used again."""
    number = 0
    while True:
        folder = place(root, f"{kind}-{purpose}-{number}")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                number += 1
                continue
            engine = OwnEngine(kind, folder)
            try:
                engine.stop()
                engine.start()
                yield engine
            finally:
                engine.stop()
            return


def _environment() -> dict[str, str]:
    """Return this process's environment without what would send an engine or its client elsewhere."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "CONTAINER"))
    }
    return kept | {"PATH": _SEARCH_PATH}


def _containerd_toml(folder: Path, socket: Path) -> str:
    return (
        "version = 2\n"
        f'root = "{folder}/containerd"\nstate = "{folder}/containerd-run"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{socket}"\n'
    )


def _containers_conf(folder: Path, runsc: Path, runtime: str) -> str:
    """Return Podman's settings; limits are lowered because a machine may not let its own be raised.

    Its service gives every container the one runtime that is set here.
    """
    runc = shutil.which("runc", path=_SEARCH_PATH)
    return (
        '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
        f'[engine]\nruntime = "{runtime}"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        f'tmp_dir = "{folder}/run/libpod"\nstatic_dir = "{folder}/data/storage/libpod"\n'
        f'volume_path = "{folder}/data/volumes"\n'
        f'[engine.runtimes]\nrunc = ["{runc}"]\nrunsc = ["{runsc}"]\n'
        f'[network]\nnetwork_config_dir = "{folder}/networks"\n'
    )


def _storage_conf(folder: Path) -> str:
    """Return where Podman keeps things; it cleans nothing up whose run root has more than 50 characters."""
    return (
        '[storage]\ndriver = "overlay"\n'
        f'graphroot = "{folder}/data/storage"\nrunroot = "{_short(folder)}/storage"\n'
    )


def _await_file(path: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not path.exists():
        if time.monotonic() > deadline or process.poll() is not None:
            raise _silent(f"nothing made `{path}`", log)
        time.sleep(0.05)


def _silent(message: str, log: Path) -> SetupError:
    text = log.read_text(errors="replace") if log.is_file() else ""
    return SetupError(message, log=text, advice=[f"less {log}"])


def main(arguments: list[str]) -> int:
    """Start or stop the engine that a person tries things with; return the exit status."""
    if len(arguments) != 2 or arguments[0] not in ("start", "stop") or arguments[1] not in get_args(Kind):
        print(__doc__, file=sys.stderr)
        return 2
    verb, kind = arguments
    engine = OwnEngine(kind, place(ROOT, f"{kind}-{_MANUAL}"))  # type: ignore[arg-type]
    try:
        if verb == "start":
            engine.start()
            print(engine.address)
        else:
            engine.stop()
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
