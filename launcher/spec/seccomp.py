"""The project's own seccomp filter: a readable list of allowed system calls, everything else is EPERM.

There are two variants, `cpu` and `gpu`; the latter adds what NVIDIA's libraries call, written from documents
and not from trial. Named widenings add calls of their own. Only native x86-64 calls pass (32-bit and x32
entries die with SIGSYS). Left out on purpose: namespaces and mounts, io_uring and asynchronous I/O, ptrace,
process_vm_*, memfd_create, userfaultfd, bpf, perf, keys, SysV IPC and POSIX message queues, mknod, changes of
user or group, clocks, modules; raw, packet, netlink and vsock sockets. The format is
https://docs.docker.com/engine/security/seccomp/.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

from launcher.canonical import canonical_bytes
from launcher.digest import digest_of
from launcher.spec.widenings import SYSTEM_CALLS

Variant = Literal["cpu", "gpu"]

_FILES = """
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2
fadvise64 fallocate fchdir fchmod fchmodat fchown fchownat fcntl fdatasync fgetxattr flistxattr flock
fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr
inotify_add_watch inotify_init inotify_init1 inotify_rm_watch lchown lgetxattr link linkat listxattr
llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat newfstatat open openat openat2 pread64 preadv
preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr rename renameat
renameat2 rmdir sendfile setxattr splice stat statfs statx symlink symlinkat sync sync_file_range syncfs tee
truncate umask unlink unlinkat utime utimensat utimes write writev
"""
_MEMORY = """
brk madvise membarrier mincore mlock mlock2 mlockall mmap mprotect mremap msync munlock munlockall munmap
pkey_alloc pkey_free pkey_mprotect
"""
_PROCESSES = """
arch_prctl capget execve execveat exit exit_group fork futex futex_waitv get_robust_list getcpu getegid
geteuid getgid getgroups getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage
getsid gettid getuid kill pause pidfd_open pidfd_send_signal prctl restart_syscall rseq
rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_yield seccomp set_robust_list
set_tid_address setpgid setrlimit setsid sigaltstack tgkill tkill vfork wait4 waitid
"""
_TIME = """
alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer time
timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime
timerfd_settime times
"""
_EVENTS = """
epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 pipe pipe2 poll
ppoll pselect6 select signalfd signalfd4
"""
_SOCKETS = """
accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg
sendmsg sendto setsockopt shutdown socketpair
"""
_SYSTEM = "getrandom sysinfo uname"

_GPU = "get_mempolicy mbind memfd_create set_mempolicy"

_CLONE_NEW_MASK = 0x7E020000  # every CLONE_NEW* flag of clone(2)
_SOCKET_TYPE_MASK = 0xF
_UNIX, _INET, _INET6 = 1, 2, 10
_STREAM, _DATAGRAM = 1, 2
# Family, type and protocol (0: the type's own; 6 is TCP, 17 is UDP): the namespace holds a loopback only.
_SOCKETS_OF = (
    *((_UNIX, kind, 0) for kind in (_STREAM, _DATAGRAM)),
    *((family, _STREAM, protocol) for family in (_INET, _INET6) for protocol in (0, 6)),
    *((family, _DATAGRAM, protocol) for family in (_INET, _INET6) for protocol in (0, 17)),
)
_INT = 0xFFFFFFFF  # what the kernel reads of an argument that is an int
# Calls that would slow or limit pid 1, which has the same user: the caller itself alone, named by 0.
_ON_ONESELF = {
    "prlimit64": (0,),
    "sched_setattr": (0,),
    "sched_setparam": (0,),
    "sched_setscheduler": (0,),
    "setpriority": (0, 1),
}
_IOCTLS = (
    0x5401,  # TCGETS: isatty
    0x540F,  # TIOCGPGRP: shells asking for job control
    0x5413,  # TIOCGWINSZ: progress bars
    0x541B,  # FIONREAD
    0x5421,  # FIONBIO
    0x5450,  # FIONCLEX
    0x5451,  # FIOCLEX
)
# Masks and values of the requests that go to /dev/nvidia*: type `F` in the driver's own header, and for
# nvidia-uvm bare numbers below 256 with two more to begin and to end.
_GPU_IOCTLS = (
    (0x0000FF00, 0x4600),
    (0xFFFFFF00, 0x0000),
    (0xFFFFFFFF, 0x30000001),
    (0xFFFFFFFF, 0x30000002),
)
_NETLINK, _NETLINK_ROUTE = 16, 0
_NETLINK_TYPES = (2, 3)  # SOCK_DGRAM, SOCK_RAW: to netlink they are the same
_ENOSYS = 38

GROUPS = {
    "files": _FILES,
    "memory": _MEMORY,
    "processes": _PROCESSES,
    "time": _TIME,
    "events": _EVENTS,
    "sockets": _SOCKETS,
    "system": _SYSTEM,
}


def allowed_calls(variant: Variant, widenings: tuple[str, ...]) -> frozenset[str]:
    """Return the names of the calls that pass whatever their arguments."""
    texts = [*GROUPS.values(), *(SYSTEM_CALLS.get(name, "") for name in widenings)]
    return frozenset(" ".join([*texts, _GPU if variant == "gpu" else ""]).split())


def seccomp_profile(variant: Variant = "cpu", widenings: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the filter in the form that container engines read."""
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
            _allow(*sorted(allowed_calls(variant, widenings))),
            _allow("clone", args=[_masked(0, _CLONE_NEW_MASK, 0)]),
            # Flags of clone3 lie in memory, out of a filter's reach; ENOSYS sends the C library to clone.
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
            *(_allow("ioctl", args=[_masked(1, mask, request)]) for mask, request in _ioctls(variant)),
            *(_socket(family, kind, protocol) for family, kind, protocol in _SOCKETS_OF),
            *(
                _allow(name, args=[_masked(index, _INT, 0) for index in indices])
                for name, indices in _ON_ONESELF.items()
            ),
            *(_netlink() if "netlink" in widenings else ()),
        ],
    }


@cache
def seccomp_text(variant: Variant = "cpu", widenings: tuple[str, ...] = ()) -> str:
    """Return the filter as the one JSON text whose digest the lock pins."""
    return canonical_bytes(seccomp_profile(variant, widenings)).decode()


@cache
def seccomp_digest(variant: Variant = "cpu", widenings: tuple[str, ...] = ()) -> str:
    """Return the digest of `seccomp_text`."""
    return digest_of(seccomp_text(variant, widenings).encode())


def _ioctls(variant: Variant) -> Iterator[tuple[int, int]]:
    yield from ((0xFFFFFFFF, request) for request in _IOCTLS)
    yield from _GPU_IOCTLS if variant == "gpu" else ()


def _socket(family: int, kind: int, protocol: int) -> dict[str, Any]:
    arguments = [_equal(0, family), _masked(1, _SOCKET_TYPE_MASK, kind), _masked(2, _INT, protocol)]
    return _allow("socket", args=arguments)


def _netlink() -> Iterator[dict[str, Any]]:
    for kind in _NETLINK_TYPES:
        yield _allow(
            "socket",
            args=[_equal(0, _NETLINK), _masked(1, _SOCKET_TYPE_MASK, kind), _equal(2, _NETLINK_ROUTE)],
        )


def _allow(*names: str, args: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"names": list(names), "action": "SCMP_ACT_ALLOW", "args": args or []}


def _masked(index: int, mask: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def _equal(index: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}
