"""Attacks by processes: on pid 1, on the end of the command, on what it shares."""

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import struct
import sys
import time

from endings import LIE, MIB, OUT, SAMPLES, be_honest, deaf, ending, sit


@ending
def signals_to_the_first_process() -> None:
    """Every signal, sent in every way, with forged facts."""
    be_honest()
    for number in range(1, 65):
        for send in (
            lambda n=number: os.kill(1, n),
            lambda n=number: signal.pidfd_send_signal(os.pidfd_open(1), n),
            lambda n=number: _queue(n),
        ):
            with contextlib.suppress(OSError):
                send()


def _queue(number: int) -> None:
    libc = ctypes.CDLL(None)
    for code in (-1, -2, -6, 1, 0x80):
        facts = struct.pack("iii", number, 0, code).ljust(128, b"\0")
        libc.syscall(129, 1, number, facts)
        libc.syscall(297, 1, 1, number, facts)


@ending
def fork_bomb() -> None:
    while True:
        with contextlib.suppress(OSError):
            os.fork()


@ending
def daemons() -> None:
    """Descendants of every kind that rewrite the samples once the command has ended."""
    be_honest()
    command = os.getpid()
    for count in range(24):
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            deaf()
            if count % 3 == 0:
                os.kill(os.getpid(), signal.SIGSTOP)
            _rewrite_after(command)
    if ctypes.CDLL(None).syscall(56, 0x8000 | signal.SIGCHLD, 0, 0, 0, 0) == 0:
        _rewrite_after(command)
    print("done", flush=True)


def _rewrite_after(command: int) -> None:
    """Only once the command has been dead for a while: until then its descendants are the evaluation."""
    with contextlib.suppress(OSError):
        while True:
            os.kill(command, 0)
            time.sleep(0.01)
    time.sleep(1)
    while True:
        SAMPLES.write_text(LIE)
        print("late", flush=True)


@ending
def deaf_and_endless() -> None:
    be_honest()
    deaf()
    sit()


@ending
def stopped() -> None:
    be_honest()
    os.kill(os.getpid(), signal.SIGSTOP)


@ending
def exit_137() -> None:
    be_honest()
    sys.exit(137)


@ending
def killed_by_itself() -> None:
    be_honest()
    os.kill(os.getpid(), signal.SIGKILL)


@ending
def killed_with_everybody() -> None:
    be_honest()
    os.kill(-1, signal.SIGKILL)


@ending
def lesser_limits_for_the_first_process() -> None:
    """Leave pid 1 a second of processor time, then make it work: it must not end without its report."""
    for _ in range(3):
        with contextlib.suppress(OSError):
            resource.prlimit(1, resource.RLIMIT_CPU, (1, 1))
        with contextlib.suppress(OSError):
            resource.prlimit(1, resource.RLIMIT_STACK, (0, 0))
    end = time.monotonic() + 6
    while time.monotonic() < end:
        if os.fork() == 0:
            for _ in range(100):
                if os.fork() == 0:
                    os._exit(0)
            os._exit(0)
        os.wait()
    with (OUT / "artifact").open("wb") as file:
        for _ in range(48):
            file.write(b"x" * MIB)
    sys.exit(3)


@ending
def idle_first_process() -> None:
    """Give pid 1 the least of the processor, and many others the rest."""
    be_honest()
    with contextlib.suppress(OSError):
        os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 1, 19)
    for _ in range(20):
        if os.fork() == 0:
            deaf()
            while True:
                pass


@ending
def another_program() -> None:
    """The command replaced by another program, which leaves nothing."""
    os.execve("/eval/code/low", ["python3.11", "hello"], {})


@ending
def spoiled_pipe() -> None:
    """Every flag of the pipe that is shared with pid 1, and its owner's signal, before dying with it full."""
    be_honest()
    with contextlib.suppress(OSError):
        fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 4096)
    for command, value in ((fcntl.F_SETOWN, 1), (10, signal.SIGKILL), (fcntl.F_SETFL, 0o26000 | 0o40000)):
        with contextlib.suppress(OSError):
            fcntl.fcntl(1, command, value)
    for _ in range(100):
        with contextlib.suppress(OSError):
            os.write(1, b"x" * 4096)


@ending
def closed_streams() -> None:
    for stream in (0, 1, 2):
        os.close(stream)
    be_honest()
    os._exit(0)
