"""Touch the first process, outlive the command, or change what one is."""

import ctypes
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from attempt import apart, attempt, call, word_of, words_of

FIRST = 1
# What the kernel takes for pid 1, and a filter that compares whole registers does not.
BEYOND_AN_INTEGER = (1 << 32) + FIRST
PTRACE, KCMP, PIDFD_GETFD = 101, 312, 438
READV, WRITEV, MADVISE = 310, 311, 440


@attempt
def trace_the_first_process() -> str:
    return words_of(*(lambda r=request: call(PTRACE, r, FIRST, 0, 0) for request in (16, 0x4206)))


@attempt
def read_and_write_the_first_process() -> str:
    block = ctypes.create_string_buffer(16)
    here = struct.pack("QQ", ctypes.addressof(block), 16)
    there = struct.pack("QQ", 0x400000, 16)
    return words_of(
        lambda: call(READV, FIRST, here, 1, there, 1, 0),
        lambda: call(WRITEV, FIRST, here, 1, there, 1, 0),
        lambda: call(MADVISE, os.pidfd_open(FIRST), there, 1, 4, 0),
        lambda: call(KCMP, FIRST, os.getpid(), 0, 1, 1),
    )


@attempt
def steal_a_descriptor() -> str:
    descriptor = os.pidfd_open(FIRST)
    return words_of(*(lambda n=number: call(PIDFD_GETFD, descriptor, n, 0) for number in range(5)))


@attempt
def files_of_the_first_process() -> str:
    """Everything of /proc/1 that tells its memory, its environment or its descriptors."""
    names = ("mem", "environ", "maps", "smaps", "auxv", "stack", "syscall", "io", "pagemap", "fdinfo", "fd")
    return words_of(*(lambda n=name: _read(f"/proc/1/{n}") for name in names))


def _read(path: str) -> None:
    if Path(path).is_dir():
        os.listdir(path)
    else:
        with open(path, "rb") as file:
            file.read(16)


@attempt
def writes_to_the_first_process() -> str:
    names = ("mem", "oom_score_adj", "oom_adj", "comm", "clear_refs", "coredump_filter", "timerslack_ns")
    names += ("uid_map", "gid_map", "setgroups", "attr/current", "sched", "autogroup", "loginuid")
    paths = [path for name in names if (path := Path("/proc/1", name)).exists()]
    return words_of(*(lambda p=path: _write(p) for path in paths))


def _write(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, b"0")


@attempt
def limit_the_first_process() -> str:
    """Take processor time, descriptors or stack from pid 1: its user is ours."""
    kinds = (resource.RLIMIT_CPU, resource.RLIMIT_NOFILE, resource.RLIMIT_STACK, resource.RLIMIT_FSIZE)
    block = ctypes.create_string_buffer(16)
    return words_of(
        *(lambda k=kind: _limit(k) for kind in kinds),
        *(lambda k=kind: call(302, BEYOND_AN_INTEGER, int(k), 0, block) for kind in kinds),
    )


def _limit(kind: int) -> None:
    soft, hard = resource.prlimit(FIRST, kind)
    resource.prlimit(FIRST, kind, (soft, hard))


@attempt
def move_the_first_process() -> str:
    """Group and session of pid 1."""
    return words_of(lambda: os.setpgid(FIRST, 0), lambda: os.setpgid(0, FIRST))


@attempt
def slow_the_first_process() -> str:
    """Priority and scheduling of pid 1, of its group and of its user."""
    rest = struct.pack("IIQiIQQQ", 48, 5, 0, 0, 0, 0, 0, 0)
    return words_of(
        lambda: os.setpriority(os.PRIO_PROCESS, FIRST, 19),
        lambda: os.setpriority(os.PRIO_PGRP, FIRST, 19),
        lambda: os.setpriority(os.PRIO_USER, 0, 19),
        lambda: call(141, 0, BEYOND_AN_INTEGER, 19),
        lambda: os.sched_setscheduler(FIRST, os.SCHED_IDLE, os.sched_param(0)),
        lambda: os.sched_setparam(FIRST, os.sched_param(0)),
        lambda: call(144, BEYOND_AN_INTEGER, 5, struct.pack("i", 0)),
        lambda: call(314, FIRST, rest, 0),
    )


@attempt
def pin_the_first_process() -> str:
    """Threads may be pinned, pid 1 among them: to a processor that it shares with everybody."""
    os.sched_setaffinity(FIRST, {max(os.sched_getaffinity(FIRST))})
    return "done"


@attempt
def lower_own_standing() -> str:
    """What an evaluation may do to itself: be nicer, idle, use less."""
    os.nice(1)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
    return "done"


@attempt
def raise_own_standing() -> str:
    return words_of(
        lambda: os.setpriority(os.PRIO_PROCESS, 0, -20),
        lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
        lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)),
        lambda: call(314, 0, struct.pack("IIQiIQQQ", 48, 6, 0, 0, 0, 10**7, 10**7, 10**7), 0),
    )


@attempt
def raise_own_limits() -> str:
    """Every limit of the sandbox, above its hard bound."""
    names = ("CORE", "FSIZE", "MEMLOCK", "MSGQUEUE", "NOFILE")
    return words_of(*(lambda n=name: _raise(n) for name in names))


def _raise(name: str) -> None:
    kind = {"MSGQUEUE": 12}.get(name) or getattr(resource, f"RLIMIT_{name}")
    hard = resource.getrlimit(kind)[1]
    try:
        resource.setrlimit(kind, (hard + 1, hard + 1))
    except ValueError as error:
        raise PermissionError(1, "not allowed") from error


@attempt
def change_user() -> str:
    return words_of(
        lambda: os.setuid(0),
        lambda: os.setgid(0),
        lambda: os.setresuid(0, 0, 0),
        lambda: os.setgroups([0]),
        lambda: call(122, 0),
        lambda: call(123, 0),
    )


@attempt
def capabilities() -> str:
    """What capabilities one holds, and may set."""
    lines = Path("/proc/self/status").read_text().splitlines()
    held = {line.split()[1].strip("0") for line in lines if line.startswith("Cap")}
    setting = word_of(
        lambda: call(126, struct.pack("II", 0x20080522, 0), struct.pack("6I", *[2**32 - 1] * 6))
    )
    ambient = word_of(lambda: call(157, 47, 2, 21, 0, 0))
    return f"{''.join(held) or 'none'} {setting} {ambient}"


@attempt
def drop_the_no_new_privileges_flag() -> str:
    return words_of(lambda: call(157, 38, 0, 0, 0, 0))


@attempt
def privileged_process_controls() -> str:
    """PR_SET_SECUREBITS, PR_CAPBSET_DROP, PR_SET_MM, PR_SET_IO_FLUSHER."""
    return words_of(
        lambda: call(157, 28, 0x2F, 0, 0, 0),
        lambda: call(157, 24, 0, 0, 0, 0),
        lambda: call(157, 35, 1, 0x400000, 0, 0),
        lambda: call(157, 57, 1, 0, 0, 0),
    )


@attempt
def make_a_sibling() -> str:
    """A process that is pid 1's child, not ours (CLONE_PARENT)."""

    def clone() -> None:
        if call(56, 0x8000 | signal.SIGCHLD, 0, 0, 0, 0) == 0:
            time.sleep(30)
            os._exit(0)

    return word_of(clone)


@attempt
def flood_of_zombies() -> str:
    """Orphans that end at once: pid 1 must reap them, or their number runs out."""
    for _ in range(200):
        if os.fork() == 0:
            if os.fork() == 0:
                os._exit(0)
            os._exit(0)
        os.wait()
    for _ in range(100):
        zombies = sum(_is_zombie(path) for path in Path("/proc").iterdir() if path.name.isdigit())
        if zombies == 0:
            return "reaped"
        time.sleep(0.1)
    return f"{zombies} zombies"


def _is_zombie(path: Path) -> bool:
    try:
        return (path / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return False


@attempt
def more_threads_than_allowed() -> str:
    """Threads count as processes; the bound is the blueprint's `pids`."""
    wait, started = threading.Event(), 0
    try:
        for _ in range(600):
            threading.Thread(target=wait.wait, daemon=True).start()
            started += 1
    except RuntimeError:
        return "bounded" if started <= 256 else f"{started} threads"
    finally:
        wait.set()
    return f"{started} threads"


@attempt
def more_processes_than_allowed() -> str:
    children = []
    try:
        for _ in range(400):
            children.append(subprocess.Popen(["/eval/code/low", "wait"]))
    except OSError:
        return "bounded" if len(children) <= 256 else f"{len(children)} processes"
    finally:
        for child in children:
            child.kill()
            child.wait()
    return f"{len(children)} processes"


@attempt
def more_descriptors_than_allowed() -> str:
    kept = []
    try:
        for _ in range(5000):
            kept.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return "bounded" if len(kept) <= 1024 else f"{len(kept)} descriptors"
    finally:
        for number in kept:
            os.close(number)
    return f"{len(kept)} descriptors"


@attempt
def trace_a_child() -> str:
    """ptrace of one's own child is refused too: it has no use in an evaluation."""
    child = os.fork()
    if child == 0:
        time.sleep(5)
        os._exit(0)
    answer = words_of(lambda: call(PTRACE, 16, child, 0, 0))
    os.kill(child, signal.SIGKILL)
    return answer


@attempt
def processes_in_sight() -> str:
    """Only processes of this container: pid 1 and this one's own line of descent."""
    strange = []
    for path in Path("/proc").iterdir():
        status = _status(path) if path.name.isdigit() else {}
        if status and status.get("Uid", "").split()[0] != "65532":
            strange.append(status["Name"])
    return " ".join(strange) or "own only"


def _status(path: Path) -> dict[str, str]:
    try:
        lines = (path / "status").read_text().splitlines()
    except OSError:
        return {}
    return {line.split(":")[0]: line.split(":", 1)[1].strip() for line in lines}


@attempt
def dump_core() -> str:
    """A crash leaves nothing: core files are of length 0 and the host's handler is not ours to choose."""

    def crash() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.chdir("/tmp")
        os.kill(os.getpid(), signal.SIGSEGV)

    before = set(os.listdir("/tmp"))
    return f"{apart(crash)} {'left a core' if set(os.listdir('/tmp')) - before else 'left nothing'}"


@attempt
def replace_the_program() -> str:
    """Another program in the command's place keeps the sandbox."""
    text = "import os; print(os.getuid(), os.uname().nodename, os.access('/', 2), os.listdir('/eval/inputs'))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    return "same sandbox" if done.stdout.strip() == "65532 sandbox False ['canary']" else done.stdout
