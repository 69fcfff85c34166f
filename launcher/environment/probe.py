"""What a sandbox must have let the probe do, by profile and runtime, and where a report differs from it.

Under runc everything is held. Under runsc the guest's own kernel answers system calls, so what it lets a
program do there is not the host's doing: a check that names runc alone is not held under runsc.
"""

from collections.abc import Callable, Iterator

from msgspec import Struct

from launcher.spec.blueprint import RUNTIMES
from launcher.spec.probe import ProbeReport
from launcher.spec.sandbox import HOSTNAME, MASKED_PATHS, OUTPUTS, TEMPORARY, USER_ID, SandboxProfile
from launcher.spec.seccomp import allowed_calls

_Find = Callable[[ProbeReport, SandboxProfile], Iterator[str]]

_PAGE = 4096
_FILTERED = 2
# What NVIDIA's container toolkit mounts beside the driver's libraries; from its documents, not from trial.
_OF_GPUS = ("/dev/nvidia", "/proc/driver/nvidia", "/run/nvidia-persistenced/")
# The root of each is the container's own; what is not ours in them, only root may write.
_WRITABLE = {"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", TEMPORARY, OUTPUTS}  # noqa: S108
_UNREACHABLE = {"ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EPERM", "EACCES", "ENOSYS"}
_ADDRESSES = ("connect:public", "connect:public-6", "connect:metadata", "connect:dns")
_WRITES = tuple(
    f"write:{path}"
    for path in ("/", "/etc", "/usr", "/eval", "/eval/code", "/eval/inputs", "/eval/config.json", "/sys")
)
_SOCKETS = ("raw", "packet", "vsock", "alg")
_RIGHTS = ("mount", "umount", "setuid", "setgid", "hostname")
_NAMESPACES = ("mknod", "unshare:user", "unshare:mount", "unshare:network", "chroot")
_NOWHERE = ("/run/docker.sock", "/var/run/docker.sock")


class Expectation(Struct, frozen=True):
    """One check of a report: its name, what it holds, under which runtimes, and how it finds differences."""

    name: str
    holds: str
    find: _Find
    runtimes: tuple[str, ...] = RUNTIMES


def expected(profile: SandboxProfile, runtime: str) -> tuple[Expectation, ...]:
    """Return what must hold for `profile` under `runtime`; for a runtime not known here, all of it."""
    known = {name for one in EXPECTATIONS for name in one.runtimes}
    return tuple(one for one in EXPECTATIONS if runtime in one.runtimes or runtime not in known)


def differences(report: ProbeReport, profile: SandboxProfile, runtime: str) -> tuple[str, ...]:
    """Return how the sandbox is weaker than its profile: a sentence each, none where it is as pinned."""
    return tuple(
        f"{one.name}: {found}" for one in expected(profile, runtime) for found in _found(one, report, profile)
    )


def _found(one: Expectation, report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    try:
        yield from one.find(report, profile)
    except (KeyError, ValueError):
        yield "the report does not say"


def _users(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    for name, ids in (("user", report.user), ("group", report.group), ("groups", report.groups)):
        if others := set(ids) - {USER_ID}:
            yield f"the process has the {name} {min(others)}, not {USER_ID}"


def _capabilities(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    for name in ("inheritable", "permitted", "effective", "bounding", "ambient"):
        if int(report.capabilities[name], 16):
            yield f"the {name} capabilities are 0x{report.capabilities[name]}, not none"


def _privileges(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    if not report.no_new_privileges:
        yield "the process may gain privileges"


def _filter(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    if report.seccomp != _FILTERED:
        yield f"seccomp is in mode {report.seccomp}: no filter is in force"


def _system_calls(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    beyond = sorted(set(report.answered) - allowed_calls(profile.variant, profile.widenings))
    if beyond:
        more = f" and {len(beyond) - 5} more" if len(beyond) > 5 else ""
        yield f"system calls answer that the filter does not allow: {', '.join(beyond[:5])}{more}"


def _entries(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    for name in ("32-bit", "x32"):
        if report.entries[name] == "answered":
            yield f"{name} system calls are answered"


def _interfaces(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    for name in report.interfaces:
        if name != "lo":
            yield f"there is a network interface {name!a} beside the loopback"


def _connections(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    tried = (name for name in report.attempts if name.startswith("connect:"))
    for name in sorted({*_ADDRESSES, *tried}):
        if report.attempts[name] not in _UNREACHABLE:
            yield f"a connection has somewhere to go: {name} answers {report.attempts[name]}"


def _sockets(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    yield from _succeeded(report, (f"socket:{name}" for name in _SOCKETS))


def _netlink(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    if "netlink" not in profile.widenings:
        yield from _succeeded(report, ["socket:netlink"])
    yield from _succeeded(report, ["socket:netlink-audit"])


def _mounts(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    if "/" not in report.mounts:
        yield "the root is not among the mounts"
    writable = _WRITABLE | ({profile.state.path} if profile.state else set())
    for target, described in report.mounts.items():
        may_write = target in writable or target in MASKED_PATHS
        may_write |= profile.variant == "gpu" and target.startswith(_OF_GPUS)
        if not may_write and "ro" not in described.rpartition(" ")[2].split(","):
            yield f"{target!a} is mounted writable"


def _writes(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    more = (name for name in report.attempts if name.startswith("write:"))
    yield from _succeeded(report, sorted({*_WRITES, *more}))


def _execution(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    folders = [OUTPUTS] if "exec-tmp" in profile.widenings else [OUTPUTS, TEMPORARY]
    yield from _succeeded(report, (f"execute:{folder}" for folder in folders))


def _rights(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    yield from _succeeded(report, _RIGHTS)


def _namespaces(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    yield from _succeeded(report, _NAMESPACES)


def _masks(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    for path in (*MASKED_PATHS, "/proc/1/environ"):
        if report.visible[path]:
            yield f"{path} can be read"


def _engine_socket(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    for path in _NOWHERE:
        if report.visible[path] or path in report.mounts:
            yield f"{path} is there"


def _limits(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    for name, most in profile.ulimits:
        for bound in report.limits[name]:
            if bound is None or bound > most:
                yield f"the limit {name} is {'unbounded' if bound is None else bound}, not {most}"


def _sizes(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    sizes = {scratch.path: scratch.bytes for scratch in profile.scratch} | {"/dev/shm": profile.shm}  # noqa: S108
    for path, size in sizes.items():
        found = report.scratch[path].bytes
        if not 0 < found < size + _PAGE:
            yield f"{path} has {found} bytes, not {size}"


def _inodes(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    for scratch in profile.scratch:
        found = report.scratch[scratch.path].inodes
        if not 0 < found <= scratch.inodes:
            yield f"{scratch.path} has {found} inodes, not {scratch.inodes}"


def _processes(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    if report.processes > 2:
        yield f"{report.processes} processes are to be seen, not the first one and the probe alone"


def _hostname(report: ProbeReport, profile: SandboxProfile) -> Iterator[str]:
    if profile.network == "none" and report.hostname != HOSTNAME:
        yield f"the host name is {report.hostname!a}, not {HOSTNAME}"


def _succeeded(report: ProbeReport, names: "Iterator[str] | list[str] | tuple[str, ...]") -> Iterator[str]:
    for name in names:
        if report.attempts[name] == "ok":
            yield f"{name} succeeded"


_RUNC = ("runc",)
EXPECTATIONS = (
    Expectation("user", "every user and group id is 65532", _users),
    Expectation("capabilities", "all five capability sets are empty", _capabilities),
    Expectation("privileges", "no_new_privs is set, so setuid files give nothing", _privileges),
    Expectation("filter", "a seccomp filter is in force", _filter, _RUNC),
    Expectation("system-calls", "no system call answers but those of the filter", _system_calls, _RUNC),
    Expectation("entries", "32-bit and x32 system calls are not answered", _entries),
    Expectation("interfaces", "the only network interface is the loopback", _interfaces),
    Expectation("connections", "no address outside has a route, nor the cloud's metadata", _connections),
    Expectation("sockets", "no raw, packet, vsock or crypto socket can be made", _sockets),
    Expectation("netlink", "no netlink socket, unless widened, and then for routes alone", _netlink, _RUNC),
    Expectation("mounts", "every mount but the scratch folders and the kernel's is read-only", _mounts),
    Expectation("writes", "nothing can be written to the root, /etc, /sys, code, inputs, config", _writes),
    Expectation("execution", "no file in /eval/out, nor (unless widened) in /tmp, executes", _execution),
    Expectation("rights", "no mount, unmount, change of user, group or host name", _rights),
    Expectation("namespaces", "no device node, new namespace or chroot", _namespaces, _RUNC),
    Expectation("masks", "no masked path, nor the first process's environment, can be read", _masks, _RUNC),
    Expectation("engine-socket", "no socket of the engine is there", _engine_socket),
    Expectation("limits", "the resource limits are at most the profile's", _limits),
    Expectation("sizes", "scratch folders and /dev/shm have the profile's bytes", _sizes),
    Expectation("inodes", "scratch folders have the profile's inodes", _inodes, _RUNC),
    Expectation("processes", "no process of another container or of the host is to be seen", _processes),
    Expectation("hostname", "the host name is the profile's, without a joined network", _hostname),
)
