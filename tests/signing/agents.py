"""Agents for tests: a real `ssh-agent`, and sockets that answer whatever they are told to."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def ssh_agent(folder: Path) -> Iterator[str]:
    """Run an agent of its own, and yield the address of its socket."""
    address = str(folder / "agent")
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", address], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        # It says where it listens once it does.
        process.stdout.readline()
        yield address
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def add_key(address: str, key: Path, *options: str) -> None:
    """Put a private key into the agent at `address`."""
    environment = {**os.environ, "SSH_AUTH_SOCK": address}
    subprocess.run(
        ["ssh-add", "-q", *options, key], env=environment, check=True, capture_output=True, timeout=20
    )


def tell(address: str, *words: str, typed: str = "") -> None:
    """Call `ssh-add` with `words`; what it asks for is answered with `typed`."""
    program = Path(address).with_name("askpass")
    program.write_text(f"#!/bin/sh\necho '{typed}'\n")
    program.chmod(0o700)
    own = {"SSH_AUTH_SOCK": address, "SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force"}
    subprocess.run(
        ["ssh-add", "-q", *words],
        env={**os.environ, **own},
        check=True,
        capture_output=True,
        timeout=20,
        stdin=subprocess.DEVNULL,
    )


@contextmanager
def false_agent(address: str, answer: Callable[[bytes], bytes | None]) -> Iterator[None]:
    """Listen at `address`; send what `answer` makes of each request, None: say nothing until the end."""
    done = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(address)
        listener.listen()
        thread = threading.Thread(target=_serve, args=(listener, answer, done), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as last:
                last.connect(address)
            thread.join(20)
    Path(address).unlink()


def _serve(listener: socket.socket, answer: Callable[[bytes], bytes | None], done: threading.Event) -> None:
    while not done.is_set():
        connection, _ = listener.accept()
        with connection:
            request = connection.recv(1 << 16)
            said = answer(request) if request else b""
            if said is None:
                done.wait(20)
            elif said:
                connection.sendall(said)
