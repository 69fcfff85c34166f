"""Run something in a process of its own, and kill that before any of its steps on the disk."""

import os
import signal
import sys
from collections.abc import Callable

STEPS = ("open", "os.rename", "os.remove", "os.mkdir", "os.link")


def child(work: Callable[[], int]) -> int:
    """Do `work` in a process of its own; return its id."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    return pid


def ended(pid: int) -> int:
    """Wait for a process; return its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_before(step: int, work: Callable[[], int], *places: str) -> int:
    """Do `work` and kill it before its `step`-th step at a path below `places`; return how it ended."""

    def watched() -> int:
        left = step

        def look(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in STEPS and str(arguments[0]).startswith(places):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(look)
        return work()

    return ended(child(watched))
