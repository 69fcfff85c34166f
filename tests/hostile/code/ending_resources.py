"""Attacks by use: memory, processors, output."""

import contextlib
import os
import socket
import time

from endings import MIB, be_honest, ending, hold


@ending
def memory() -> None:
    hold(4096 * MIB)


@ending
def memory_of_a_child() -> None:
    """A child is the kernel's victim; its parent goes on and claims that all is well."""
    if os.fork() == 0:
        hold(4096 * MIB)
    os.wait()
    be_honest()


@ending
def memory_in_scratch() -> None:
    """Scratch folders that together hold more than the memory that they are made of."""
    for place in ("/tmp/x", "/eval/out/x", "/dev/shm/x"):
        with contextlib.suppress(OSError), open(place, "wb") as file:
            for _ in range(512):
                file.write(b"x" * MIB)


@ending
def memory_of_shared_files() -> None:
    """Empty files in /dev/shm, each of which costs the kernel memory."""
    for number in range(3_000_000):
        try:
            os.close(os.open(f"/dev/shm/{number}", os.O_CREAT | os.O_WRONLY))
        except OSError:
            break
    be_honest()


@ending
def memory_of_pipes() -> None:
    """Pipes and sockets filled with bytes that nobody reads."""
    kept = []
    with contextlib.suppress(OSError):
        while True:
            one, other = socket.socketpair()
            one.setblocking(False)
            kept.append((one, other))
            with contextlib.suppress(BlockingIOError):
                while True:
                    one.send(b"x" * 65536)
    be_honest()


@ending
def spinners() -> None:
    """More busy processes than processors, for three seconds."""
    end = time.monotonic() + 3
    children = []
    for _ in range(32):
        child = os.fork()
        if child == 0:
            while time.monotonic() < end:
                pass
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    be_honest()


@ending
def flood_of_output() -> None:
    """256 MiB on each stream, without a line feed."""
    be_honest()
    for stream in (1, 2):
        left = 256 * MIB
        while left:
            left -= os.write(stream, b"x" * min(left, MIB))
