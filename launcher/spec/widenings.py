"""The named widenings of the sandbox: what each opens, and the system calls that it adds to the filter.

The list is closed. Every one that a blueprint asks for, or that comes with what it asks for, is in its lock,
counted, shown and signed.
"""

from collections.abc import Iterator, Mapping
from typing import Final

OPENS: Final[Mapping[str, str]] = {
    "aio": "the kernel's older asynchronous input and output (io_setup, io_submit, ...)",
    "exec-tmp": "executing files in /tmp, as just-in-time compilers and build steps do",
    "io-uring": "asynchronous input and output through io_uring, a large part of the kernel",
    "locked-memory": "locking memory up to the container's own bound (0 bytes otherwise)",
    "memfd": "files without a name in memory (memfd_create), which can be executed",
    "netlink": "asking the kernel for network interfaces and routes (NETLINK_ROUTE sockets)",
    "numa": "choosing the memory of which processor holds what (mbind, set_mempolicy, ...)",
    "open-files": "16,384 open files for a process (1,024 otherwise)",
    "ptrace": "tracing and reading the evaluation's own processes, as debuggers and profilers do",
    "sysv-ipc": "System V shared memory, semaphores and message queues within the container",
}
# These come with something else and are not asked for by name.
IMPLIED: Final[Mapping[str, str]] = {
    "exec-state": "executing files in /eval/state: no engine forbids that of a folder of the host",
}
SYSTEM_CALLS: Final[Mapping[str, str]] = {
    "aio": "io_setup io_submit io_getevents io_pgetevents io_cancel io_destroy",
    "io-uring": "io_uring_setup io_uring_enter io_uring_register",
    "memfd": "memfd_create",
    "numa": "get_mempolicy mbind migrate_pages move_pages set_mempolicy set_mempolicy_home_node",
    "ptrace": "kcmp ptrace process_vm_readv process_vm_writev",
    "sysv-ipc": ("msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget"),
}
OPEN_FILES: Final = 16384


def widened(names: tuple[str, ...]) -> Iterator[str]:
    """Yield a sentence for each widening, as every view shows it."""
    for number, name in enumerate(names, 1):
        yield f"sandbox widened ({number} of {len(names)}): {name}: {_opened(name)}"


def _opened(name: str) -> str:
    return OPENS.get(name) or IMPLIED[name]
