"""The sandbox profile: one value that says what isolates and bounds a container, pinned in the lock.

Every engine applies the same value; sizes come from `[resources]`, the rest is constant. Masked paths hide
what tells the host apart (its kernel command line, devices, pressure and control groups).
"""

from typing import Any, Literal

from msgspec import Struct

from launcher.errors import MalformedError, RequirementError
from launcher.spec.blueprint import KIB, MIB, Resources, Sandbox
from launcher.spec.seccomp import seccomp_digest

USER_ID = 65532
OUTPUTS = "/eval/out"
TEMPORARY = "/tmp"  # noqa: S108 - the container's own, bounded
HOSTNAME = "sandbox"
MAX_OUTPUT_ENTRIES = 2000
MAX_OUTPUT_DEPTH = 6
OOM_SCORE_ADJUSTMENT = 500
WIDENINGS = frozenset({"exec-tmp"})
MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/cmdline",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/pressure",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/class",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/cgroup",
)
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
# The owner is named because a runtime may give the mount the mode of the image's own folder instead.
_OWNER = (f"uid={USER_ID}", f"gid={USER_ID}")
_BYTES_PER_INODE = 16 * KIB
_LEAST_INODES = 4096


class Scratch(Struct, frozen=True):
    """A writable folder in memory, bounded in bytes and inodes, with its mount options."""

    path: str
    bytes: int
    inodes: int
    options: tuple[str, ...]

    def mount_options(self) -> str:
        """Return the options as an engine's tmpfs setting takes them."""
        return ",".join(("rw", *self.options, f"size={self.bytes}", f"nr_inodes={self.inodes}"))


class SandboxProfile(Struct, frozen=True):
    """What an engine must apply to one container; `memory` bounds its processes and scratch folders together.

    `runtime` is the least isolation asked for, `ulimits` are `(name, limit)` pairs that only ever lower.
    """

    runtime: Literal["runc", "runsc"]
    cpus: int
    memory: int
    pids: int
    shm: int
    scratch: tuple[Scratch, ...]
    ulimits: tuple[tuple[str, int], ...]
    seccomp: str
    widenings: tuple[str, ...] = ()
    network: Literal["none"] = "none"

    @property
    def output_bytes(self) -> int:
        """Return the most bytes the outputs may hold together."""
        return next(scratch.bytes for scratch in self.scratch if scratch.path == OUTPUTS)

    def as_identity(self) -> dict[str, Any]:
        """Return the profile as float-free JSON, every value spelled out, for the lock's identity."""
        return {
            "user": f"{USER_ID}:{USER_ID}",
            "capabilities": [],
            "no-new-privileges": True,
            "read-only-root": True,
            "network": self.network,
            "runtime": self.runtime,
            "cpus": self.cpus,
            "memory": self.memory,
            "memory-and-swap": self.memory,
            "pids": self.pids,
            "shm": self.shm,
            "scratch": [
                {
                    "path": scratch.path,
                    "bytes": scratch.bytes,
                    "inodes": scratch.inodes,
                    "options": list(scratch.options),
                }
                for scratch in self.scratch
            ],
            "output-entries": MAX_OUTPUT_ENTRIES,
            "output-depth": MAX_OUTPUT_DEPTH,
            "ulimits": dict(self.ulimits),
            "masked-paths": list(MASKED_PATHS),
            "read-only-paths": list(READ_ONLY_PATHS),
            "ipc": "private",
            "cgroup-namespace": "private",
            "oom-score-adjustment": OOM_SCORE_ADJUSTMENT,
            "hostname": HOSTNAME,
            "seccomp": self.seccomp,
            "widenings": list(self.widenings),
        }


def profile_for(resources: Resources, sandbox: Sandbox) -> SandboxProfile:
    """Return the profile that `[resources]` and `[sandbox]` ask for.

    Raises `MalformedError` for a widening nobody knows, `RequirementError` for what no engine here can bound.
    """
    _refuse_unknown(sandbox.allow)
    _refuse_unbounded(resources, sandbox)
    widenings = tuple(sorted(set(sandbox.allow)))
    return SandboxProfile(
        runtime=sandbox.runtime,
        cpus=resources.cpus,
        memory=resources.memory,
        pids=resources.pids,
        shm=resources.shm,
        scratch=(_outputs(resources), _temporary(resources, executable="exec-tmp" in widenings)),
        ulimits=(
            ("core", 0),
            # Above every scratch folder: a full one answers ENOSPC, the limit only stops sparse files.
            ("fsize", max(resources.output, resources.tmp, resources.shm) + MIB),
            ("memlock", 0),
            ("msgqueue", 0),
            ("nofile", 1024),
        ),
        seccomp=seccomp_digest(),
        widenings=widenings,
    )


def _outputs(resources: Resources) -> Scratch:
    options = ("nosuid", "nodev", "noexec", "mode=0700", *_OWNER)
    return Scratch(OUTPUTS, resources.output, MAX_OUTPUT_ENTRIES + 1, options)


def _temporary(resources: Resources, *, executable: bool) -> Scratch:
    execution = "exec" if executable else "noexec"
    inodes = max(_LEAST_INODES, resources.tmp // _BYTES_PER_INODE)
    options = ("nosuid", "nodev", execution, "mode=1777", *_OWNER)
    return Scratch(TEMPORARY, resources.tmp, inodes, options)


def _refuse_unknown(widenings: tuple[str, ...]) -> None:
    if unknown := sorted(set(widenings) - WIDENINGS):
        raise MalformedError(
            f"the widening `{unknown[0]}` is not known",
            code="unknown-widening",
            context=f"expected one of: {', '.join(sorted(WIDENINGS))}",
            hint="remove it from `allow` in [sandbox]",
        )


def _refuse_unbounded(resources: Resources, sandbox: Sandbox) -> None:
    wanted = [
        name
        for name, asked in (
            ("network = egress", sandbox.network != "none"),
            ("secrets", bool(sandbox.secrets)),
            ("resources.gpu", resources.gpu is not None),
        )
        if asked
    ]
    if wanted:
        raise RequirementError(
            f"no engine of this release can bound `{wanted[0]}`",
            code="sandbox-unsupported",
            hint="remove it from the blueprint",
        )
