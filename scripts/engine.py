"""See that a container engine answers: the running one, else the system's own, installed and started."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from scripts.console import Console, SetupError
from scripts.debian import can_install, install_packages

DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
_ADMINISTRATION = "/usr/local/sbin:/usr/sbin:/sbin"
_START_SECONDS = 60.0
_REMIND_SECONDS = 5.0
_PID_FILES = (
    (Path("/var/run/docker.pid"), "dockerd"),
    (Path("/var/run/docker/containerd/containerd.pid"), "containerd"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from an engine's address; `server` is how it names itself."""

    state: Literal["ready", "silent", "denied", "unchecked"]
    server: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides how to get an engine; `chosen` says that the user set `DOCKER_HOST`."""

    address: str
    answer: Answer
    chosen: bool
    root: bool
    apt: bool
    dockerd: bool
    systemd: bool


def ensure_engine(root: Path, console: Console) -> None:
    """Return once an engine answers; install and start the system's where that is possible and needed.

    Raises `SetupError` with the commands to type where it is not.
    """
    facts = observe()
    action = decide(facts)
    if action == "none":
        shown = facts.answer.server or "not checked: only unix and plain tcp addresses are"
        console.say(f"container engine: {shown} at {facts.address}")
        return
    if action == "install":
        install_packages(_packages(), console)
    _start(facts, root / "build" / "engine", console)


def observe() -> Facts:
    """Look at this machine."""
    chosen = os.environ.get("DOCKER_HOST", "")
    address = chosen or DEFAULT_ADDRESS
    return Facts(
        address=address,
        answer=ping(address),
        chosen=bool(chosen),
        root=os.geteuid() == 0,
        apt=can_install(),
        dockerd=_dockerd() is not None,
        systemd=Path("/run/systemd/system").is_dir(),
    )


def decide(facts: Facts) -> Literal["none", "start", "install"]:
    """Return what to do; raise `SetupError` where only a person can."""
    if facts.answer.state in ("ready", "unchecked"):
        return "none"
    message = f"no container engine answers at `{facts.address}`"
    if facts.answer.state == "denied":
        advice = ['sudo usermod -aG docker "$USER"', "newgrp docker"]
        raise SetupError(f"this user may not open `{facts.address}`", advice=advice)
    if facts.chosen and facts.address != DEFAULT_ADDRESS:
        advice = ["unset DOCKER_HOST    # or start the engine that it names"]
        raise SetupError(f"{message}, which `DOCKER_HOST` names", advice=advice)
    if not facts.root:
        raise SetupError(message, advice=_advice_to_user(facts))
    if facts.dockerd:
        return "start"
    if not facts.apt:
        raise SetupError(
            f"{message}, and apt is not here to install one", advice=["dockerd    # once installed"]
        )
    return "install"


def ping(address: str, seconds: float = 2.0) -> Answer:
    """Ask the engine at `address` whether it is there, in plain HTTP; no client program is needed."""
    parts = urlsplit(address)
    if parts.scheme not in ("unix", "tcp") or os.environ.get("DOCKER_TLS_VERIFY"):
        return Answer("unchecked")
    try:
        with _connect(address, seconds) as connection:
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: localhost\r\n\r\n")
            head = connection.recv(4096).decode("latin-1")
    except PermissionError:
        return Answer("denied")
    except OSError:
        return Answer("silent")
    status, *headers = head.split("\r\n")
    if status.split(" ")[1:2] != ["200"]:
        return Answer("silent")
    named = [line.partition(":")[2].strip() for line in headers if line.lower().startswith("server:")]
    return Answer("ready", named[0] if named else "an engine")


def _connect(address: str, seconds: float) -> socket.socket:
    parts = urlsplit(address)
    if parts.scheme == "tcp":
        return socket.create_connection((parts.hostname or "localhost", parts.port or 2375), seconds)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(seconds)
    try:
        connection.connect(parts.path)
    except OSError:
        connection.close()
        raise
    return connection


def _advice_to_user(facts: Facts) -> list[str]:
    install = [] if facts.dockerd else ["sudo apt-get install -y docker.io"]
    start = (
        "sudo systemctl start docker"
        if facts.systemd
        else "sudo sh -c 'setsid dockerd >/var/log/dockerd.log 2>&1 &'"
    )
    return [*install, start, 'sudo usermod -aG docker "$USER"', "newgrp docker"]


def _packages() -> list[str]:
    """Return the packages that make an engine; the parser is needed where the kernel enforces AppArmor."""
    enforced = Path("/sys/module/apparmor/parameters/enabled")
    profiles = enforced.is_file() and enforced.read_text().startswith("Y")
    return ["docker.io", *(["apparmor"] if profiles else [])]


def _dockerd() -> str | None:
    return shutil.which("dockerd", path=_search_path())


def _search_path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:{_ADMINISTRATION}"


def _start(facts: Facts, folder: Path, console: Console) -> None:
    if facts.systemd:
        console.run(["systemctl", "start", "docker"], "container engine: starting the docker service")
        _await(facts.address, None, console, log=None)
        return
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "dockerd.log"
    process = None
    _await_another(facts.address)
    if ping(facts.address).state != "ready":
        console.say(f"container engine: starting dockerd, its log is {log}")
        drop_stale_pid_files(_PID_FILES)
        process = _start_detached(log)
        (folder / "dockerd.pid").write_text(f"{process.pid}\n")
    _await(facts.address, process, console, log=log)


def _await_another(address: str) -> None:
    """Give a dockerd that starts already time to answer, as long as it lives.

    The package may have started one as it was installed.
    """
    started = time.monotonic()
    while time.monotonic() - started < _START_SECONDS and ping(address).state != "ready":
        if not _names_running(*_PID_FILES[0]):
            return
        time.sleep(0.2)


def drop_stale_pid_files(files: Sequence[tuple[Path, str]]) -> None:
    """Remove pid files, given with the name of their program, that no such process is behind.

    dockerd asks only whether some process has the number: one that was killed and not reaped, or a stranger
    that got the number since, keeps it from starting.
    """
    for path, name in files:
        if not _names_running(path, name):
            path.unlink(missing_ok=True)


def _names_running(path: Path, name: str) -> bool:
    try:
        return is_running(path.read_text().strip(), name)
    except OSError:
        return False


def is_running(pid: str, name: str) -> bool:
    """Say whether the process `pid` lives and is called `name`; one that only waits to be reaped does not."""
    try:
        lines = Path("/proc", pid or "none", "status").read_text().splitlines()
    except OSError:
        return False
    facts = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return facts.get("Name") == name and facts.get("State", "Z")[:1] not in ("Z", "X")


def _start_detached(log: Path) -> "subprocess.Popen[bytes]":
    """Start dockerd so that it outlives this process and its terminal, holding none of its files."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [_dockerd() or "dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PATH": _search_path()},
            cwd="/",
            start_new_session=True,
        )


def _await(
    address: str, process: "subprocess.Popen[bytes] | None", console: Console, *, log: Path | None
) -> None:
    started = reminded = time.monotonic()
    while (answer := ping(address)).state != "ready":
        now = time.monotonic()
        if now - started > _START_SECONDS or (process is not None and process.poll() is not None):
            text = log.read_text(errors="replace") if log is not None and log.is_file() else ""
            advice = [f"less {log}" if text else "journalctl -u docker"]
            raise SetupError(f"dockerd does not answer at `{address}`", log=text, advice=advice)
        if now - reminded > _REMIND_SECONDS:
            reminded = now
            console.say("... container engine: waiting for it to answer")
        time.sleep(0.2)
    console.say(f"container engine: {answer.server} at {address}")
