"""The sandbox profile: one value that says what isolates and bounds a container, pinned in the lock.

Every engine applies the same value; sizes come from `[resources]`, the rest is constant. Masked paths hide
what tells the host apart (its kernel command line, devices, pressure and control groups).
"""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from launcher.canonical import canonical_bytes
from launcher.digest import digest_of
from launcher.errors import MalformedError
from launcher.spec.blueprint import KIB, MIB, Blueprint, Resources, Runtime, Sandbox
from launcher.spec.seccomp import Variant, seccomp_digest
from launcher.spec.widenings import IMPLIED, OPEN_FILES, OPENS

# Raised when a constant of the profile changes; `profile_for` then keeps the older one for older locks.
PROFILE_VERSION = "v1"
USER_ID = 65532
OUTPUTS = "/eval/out"
STATE = "/eval/state"
TEMPORARY = "/tmp"  # noqa: S108 - the container's own, bounded
HOSTNAME = "sandbox"
MAX_OUTPUT_ENTRIES = 2000
MAX_OUTPUT_DEPTH = 6
OOM_SCORE_ADJUSTMENT = 500
MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/cmdline",
    "/proc/config.gz",
    "/proc/diskstats",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/modules",
    "/proc/partitions",
    "/proc/pressure",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/block",
    "/sys/class",
    "/sys/devices/virtual/dmi",
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


class State(Struct, frozen=True):
    """A writable folder of the host, kept across attempts; the launcher watches its bytes and inodes."""

    path: str
    bytes: int
    inodes: int


class SandboxProfile(Struct, frozen=True):
    """What an engine must apply to one container; `memory` bounds its processes and scratch folders together.

    `runtime` is the least isolation asked for, `ulimits` are `(name, limit)` pairs that only ever lower.
    """

    runtime: Runtime
    cpus: int
    memory: int
    pids: int
    shm: int
    scratch: tuple[Scratch, ...]
    ulimits: tuple[tuple[str, int], ...]
    seccomp: str
    variant: Variant = "cpu"
    widenings: tuple[str, ...] = ()
    network: Literal["none", "egress"] = "none"
    allow_hosts: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    state: State | None = None

    @property
    def output_bytes(self) -> int:
        """Return the most bytes the outputs may hold together."""
        return next(scratch.bytes for scratch in self.scratch if scratch.path == OUTPUTS)

    def as_identity(self) -> dict[str, Any]:
        """Return the profile as float-free JSON for the lock's identity: every value, and their digest."""
        values = self._values()
        return {**values, "profile": digest_of(canonical_bytes(values))}

    def _values(self) -> dict[str, Any]:
        return {
            "version": PROFILE_VERSION,
            "user": f"{USER_ID}:{USER_ID}",
            "capabilities": [],
            "no-new-privileges": True,
            "read-only-root": True,
            "network": self.network,
            **({"allow-hosts": list(self.allow_hosts)} if self.allow_hosts else {}),
            **({"secrets": list(self.secrets)} if self.secrets else {}),
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
            **({} if self.state is None else {"state": {**to_builtins(self.state), "bound": "watched"}}),
            "output-entries": MAX_OUTPUT_ENTRIES,
            "output-depth": MAX_OUTPUT_DEPTH,
            "ulimits": dict(self.ulimits),
            "masked-paths": list(MASKED_PATHS),
            "read-only-paths": list(READ_ONLY_PATHS),
            "ipc": "private",
            "cgroup-namespace": "private",
            "oom-score-adjustment": OOM_SCORE_ADJUSTMENT,
            "hostname": HOSTNAME,
            "domainname": "",
            "system-calls": self.variant,
            "seccomp": self.seccomp,
            "widenings": list(self.widenings),
        }


def under_runtime(values: Mapping[str, Any], runtime: str) -> dict[str, Any]:
    """Return an identity's profile as another runtime applies it: its digest is of the changed values."""
    changed = {**values, "runtime": runtime}
    changed.pop("profile", None)
    return {**changed, "profile": digest_of(canonical_bytes(changed))}


def profile_of_run(blueprint: Blueprint) -> SandboxProfile:
    """Return the profile of `[run]`, with the state that a resumable one goes on with; raises likewise."""
    profile = profile_for(blueprint.resources, blueprint.sandbox)
    if not blueprint.run.resumable:
        return profile
    output = blueprint.resources.output
    state = State(STATE, output, max(_LEAST_INODES, output // _BYTES_PER_INODE))
    return replace(profile, state=state, widenings=tuple(sorted((*profile.widenings, *IMPLIED))))


def profile_for(resources: Resources, sandbox: Sandbox) -> SandboxProfile:
    """Return the profile that `[resources]` and `[sandbox]` ask for.

    Raises `MalformedError` for a widening nobody knows, `RequirementError` for what no engine here can bound.
    """
    _refuse_unknown(sandbox.allow)
    widenings = tuple(sorted(set(sandbox.allow)))
    variant: Variant = "cpu" if resources.gpu is None else "gpu"
    # What a GPU transfers from is locked; the container's memory bounds it all the same.
    locks = variant == "gpu" or "locked-memory" in widenings
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
            ("memlock", resources.memory if locks else 0),
            ("msgqueue", 0),
            ("nofile", OPEN_FILES if "open-files" in widenings else 1024),
        ),
        seccomp=seccomp_digest(variant, widenings),
        variant=variant,
        widenings=widenings,
        network=sandbox.network,
        allow_hosts=tuple(sorted(set(sandbox.allow_hosts))),
        secrets=tuple(sorted(set(sandbox.secrets))),
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
    if unknown := sorted(set(widenings) - OPENS.keys()):
        raise MalformedError(
            f"the widening `{unknown[0]}` is not known",
            code="unknown-widening",
            context=f"expected one of: {', '.join(OPENS)}",
            hint="remove it from `allow` in [sandbox]",
        )
