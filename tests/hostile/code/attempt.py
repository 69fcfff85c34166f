"""Make attempts one by one, each in a process of its own, and say in a word what the kernel answered."""

import ctypes
import errno
import json
import os
import select
import signal
from collections.abc import Callable
from typing import Any

from given import CONFIG

SECONDS = 30
# What a kernel says when it will not, or when there is no such thing; others may be an attempt's own fault.
REFUSALS = frozenset({
    *("EACCES", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EBUSY", "ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH"),
    *("ENODEV", "ENOENT", "ENOSYS", "ENOTSUP", "ENXIO", "EOPNOTSUPP", "EPERM", "EPROTONOSUPPORT", "EROFS"),
    *("ESOCKTNOSUPPORT", "ESRCH", "EXDEV", "SIGSYS"),
})  # fmt: skip
ATTEMPTS: dict[str, Callable[[], Any]] = {}
_LIBC = ctypes.CDLL(None, use_errno=True)


def attempt(function: Callable[[], Any]) -> Callable[[], Any]:
    """Register an attempt under its name, with hyphens."""
    ATTEMPTS[function.__name__.replace("_", "-")] = function
    return function


def call(number: int, *arguments: Any) -> int:
    """Make a system call; raise what it answers. Names and pointers are as C has them, integers are long."""
    ctypes.set_errno(0)
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    words += [ctypes.c_long(0)] * (6 - len(words))
    answer = int(_LIBC.syscall(ctypes.c_long(number), *words))
    if answer == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), "system call")
    return answer


def word_of(function: Callable[[], Any]) -> str:
    """Return what the function says, `done` when it says nothing, or the name of its error."""
    try:
        return str(function() or "done")
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    except Exception as error:
        return type(error).__name__


def words_of(*functions: Callable[[], Any]) -> str:
    """Return the different answers of several attempts, sorted."""
    return " ".join(sorted({word_of(function) for function in functions}))


def apart(function: Callable[[], Any], seconds: float = SECONDS) -> str:
    """Return the answer of a function that runs in a child; a child that is killed or hangs is an answer."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.setpgid(0, 0)
        word = word_of(function)
        os.write(writer, word.encode(errors="replace")[:4000])
        os._exit(0)
    os.close(writer)
    ready = select.select([reader], [], [], seconds)[0]
    word = os.read(reader, 4096).decode(errors="replace") if ready else ""
    os.close(reader)
    if not ready:
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if not ready:
        return "hung"
    return word or (signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "silent")


def make_all(group: str) -> None:
    """Make every registered attempt and leave the answers as samples."""
    with open("/eval/out/samples.jsonl", "w", encoding="utf-8") as samples:
        for name, function in ATTEMPTS.items():
            words = apart(function)
            print(f"{name}: {words}", flush=True)
            answer = "refused" if set(words.split()) <= REFUSALS else words
            if name in CONFIG["guest"] and words != "hung":
                answer = "guest"
            sample = {"id": name, "prediction": answer, "groups": {"class": group}}
            print(json.dumps(sample), file=samples, flush=True)
