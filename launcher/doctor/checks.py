"""Judge what was observed of a machine: each check a pure function of facts, each failing with a fix."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from launcher.doctor.observe import EngineState, KeyState, Leftovers, Observed, TrustState
from launcher.engines.engine import EngineFacts
from launcher.engines.requirements import INIT_ARCHITECTURES
from launcher.environment.machine import ClockFacts, DiskFacts, MachineFacts
from launcher.report.text import amount
from launcher.spec.gpus import GpuInventory, short_name, units
from launcher.spec.health import HealthCheck, fail, ok, warn

OLDEST_PYTHON = (3, 11)
LEAST_FREE, LITTLE_FREE, LEAST_INODES = 200 * 10**6, 5 * 10**9, 10_000
CLOCK_SLACK, EXPIRY_NOTICE = timedelta(minutes=5), timedelta(days=30)

# Where locks between processes, or the engine's mounts, may not work; what a restart empties.
_SHARED = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse", "fuse.sshfs", "virtiofs", "lustre", "gpfs"})
_FLEETING = frozenset({"tmpfs", "ramfs"})
_LAYERED = frozenset({"overlay2", "overlayfs", "overlay", "btrfs", "zfs", "fuse-overlayfs"})
_BOUNDS = ("memory", "cpus", "pids")
_RESTART = "sudo systemctl restart docker"
_DELEGATE = (
    "sudo systemctl edit user@.service   # [Service] Delegate=cpu cpuset io memory pids; cgroup v2 only"
)
_MOVE_HOME = "export EVALCTL_HOME=/a/larger/local/disk/evalctl"


def machine_checks(seen: Observed) -> Iterator[HealthCheck]:
    """Yield every check of a machine, the launcher's own needs first."""
    yield python(seen.machine)
    yield git(seen.machine)
    yield installation(seen)
    yield home(seen.home)
    yield space("home-space", seen.home, _MOVE_HOME)
    yield clock(seen.clock)
    yield key(seen.key)
    yield trust(seen.trust, seen.key, seen.clock)
    yield from engine_checks(seen.engine, seen.machine)
    yield user_namespaces(seen.machine)
    yield gpus(seen.gpus)
    yield leftovers(seen.leftovers)


def python(machine: MachineFacts) -> HealthCheck:
    """Judge the Python that runs evalctl."""
    version = ".".join(map(str, machine.python))
    if machine.python[:2] < OLDEST_PYTHON:
        return fail("python", f"{version}; 3.11 is the oldest that works", "sudo apt-get install python3.11")
    return ok("python", version)


def git(machine: MachineFacts) -> HealthCheck:
    """Judge whether code can be fetched by commit."""
    if machine.git is None:
        return fail("git", "not installed: code comes by commit", "sudo apt-get install git")
    return ok("git", machine.git)


def installation(seen: Observed) -> HealthCheck:
    """Judge whether the sandbox's user can start our first process."""
    if not seen.installation.executable:
        detail = f"`{seen.installation.path}` is on a disk that is mounted noexec"
        return fail("installation", detail, "pip install --target /usr/local/lib/evalctl evalctl-launcher")
    if seen.shut:
        path, mode = seen.shut[0]
        return fail("installation", f"the sandbox's user may not use `{path}`", f"chmod a+rx,{mode:o} {path}")
    return ok("installation", "the sandbox can use its files")


def home(disk: DiskFacts) -> HealthCheck:
    """Judge where evalctl keeps its things."""
    where = f"{disk.path}, on {disk.file_system}"
    if not disk.writable:
        return fail("home", f"{where}: it may not be written", "export EVALCTL_HOME=$HOME/evalctl")
    if disk.file_system in _SHARED:
        return warn("home", f"{where}: locks and mounts may not work there", _MOVE_HOME)
    if disk.file_system in _FLEETING:
        return warn("home", f"{where}: keys and bundles are lost with the power", _MOVE_HOME)
    return ok("home", where if disk.exists else f"{where}; it is made at the first launch")


def space(name: str, disk: DiskFacts, fix: str) -> HealthCheck:
    """Judge how much a disk can still take."""
    detail = f"{amount(disk.free)} free at {disk.path}"
    if 0 <= disk.free_inodes < LEAST_INODES:
        return fail(name, f"{detail}, but only {disk.free_inodes} files more", fix)
    if disk.free < LEAST_FREE:
        return fail(name, detail, fix)
    return warn(name, detail, fix) if disk.free < LITTLE_FREE else ok(name, detail)


def clock(seen: ClockFacts) -> HealthCheck:
    """Judge whether the times that are signed can be right."""
    time, fix = f"{seen.now:%Y-%m-%d %H:%M} UTC", "sudo timedatectl set-ntp true"
    if seen.newest is not None and seen.newest - seen.now > CLOCK_SLACK:
        behind = f"`{seen.newest_file}` was written at {seen.newest:%Y-%m-%d %H:%M}"
        return fail("clock", f"{time} cannot be: {behind}", fix)
    if seen.synchronised is None:
        return ok("clock", f"{time}; whether it is synchronised cannot be read here")
    if not seen.synchronised:
        return warn("clock", f"{time}; the kernel does not hold it synchronised", fix)
    return ok("clock", f"{time}, synchronised")


def key(seen: KeyState) -> HealthCheck:
    """Judge the key that signs by default."""
    if seen.fault is not None:
        return fail("key", seen.fault.message, seen.fault.fix)
    if seen.fingerprint is None:
        return ok("key", "none yet: the first `evalctl launch` makes one")
    return ok("key", seen.fingerprint)


def trust(seen: TrustState, own: KeyState, time: ClockFacts) -> HealthCheck:
    """Judge the policy that `verify` applies here, and whether it counts the home's own key."""
    if seen.fault is not None:
        return fail("trust", seen.fault.message, seen.fault.fix)
    if seen.expires is None:
        if own.fingerprint is None:
            return ok("trust", "no policy yet: it is made with the first key")
        detail = f"there is no `{seen.path}`: nobody is trusted here"
        return warn("trust", detail, f"evalctl trust add {own.path}.pub --name me")
    renew = f"$EDITOR {seen.path}   # a later `expires`, the next `version`"
    if seen.expires <= time.now:
        return fail("trust", f"the policy expired on {seen.expires:%Y-%m-%d}: nobody is trusted", renew)
    if seen.refusals:
        return warn("trust", seen.refusals[0], f"evalctl trust add {own.path}.pub --name me")
    until = f"{seen.keys} key{'' if seen.keys == 1 else 's'} until {seen.expires:%Y-%m-%d}"
    if seen.expires - time.now < EXPIRY_NOTICE:
        return warn("trust", until, renew)
    return ok("trust", until)


def engine_checks(seen: EngineState, machine: MachineFacts) -> Iterator[HealthCheck]:
    """Yield the checks of the engine; only the first where none answers."""
    if seen.facts is None:
        fault = seen.fault
        yield fail("engine", fault.message if fault else "none answers", fault.fix if fault else _RESTART)
        return
    yield engine(seen.facts)
    yield runtimes(seen.facts)
    yield limits(seen.facts, machine)
    yield storage(seen.facts)
    yield engine_space(seen)
    yield confinement(seen.facts)


def engine(facts: EngineFacts) -> HealthCheck:
    """Judge who answers."""
    said = f"{facts.name} {facts.version}, API {facts.api_version}, {facts.architecture}"
    if facts.architecture not in INIT_ARCHITECTURES:
        return fail(
            "engine", f"{said}: the sandbox runs on x86_64 alone", "ssh AN-X86-64-MACHINE evalctl doctor"
        )
    return ok("engine", said)


def podman_runtimes(facts: EngineFacts) -> HealthCheck:
    """Judge the one runtime that a Podman service gives to every container."""
    (given,) = facts.runtimes or ("none",)
    choose = (
        '$EDITOR ~/.config/containers/containers.conf   # [engine] runtime = "{}"; start the service anew'
    )
    if given == "runsc":
        return ok("runtimes", "runsc")
    if given == "runc":
        detail = "runc alone: Podman gives one runtime, and what asks for runsc is refused"
        return warn("runtimes", detail, choose.format("runsc"))
    return fail("runtimes", f"{given}: launches ask for runc or runsc", choose.format("runc"))


def runtimes(facts: EngineFacts) -> HealthCheck:
    """Judge which isolation can be asked for."""
    if facts.name == "podman":
        return podman_runtimes(facts)
    if "runc" not in facts.runtimes:
        detail = f"no runc among {', '.join(facts.runtimes) or 'none'}"
        return fail("runtimes", detail, f"sudo apt-get install runc && {_RESTART}")
    if "runsc" not in facts.runtimes:
        detail = "runc; no runsc (gVisor): what asks for it is refused"
        return warn("runtimes", detail, f"sudo apt-get install runsc && sudo runsc install && {_RESTART}")
    return ok("runtimes", "runc, runsc")


def limits(facts: EngineFacts, machine: MachineFacts) -> HealthCheck:
    """Judge which bounds the kernel lets the engine set."""
    mode = f"control groups {machine.control_groups}, by {facts.cgroup_driver}"
    missing = [bound for bound in _BOUNDS if bound not in facts.limits]
    kernel = "cgroup_enable=memory swapaccount=1"
    fix = f"sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&{kernel} /' /etc/default/grub && sudo update-grub"
    if missing and "name=rootless" in facts.security_options:
        detail = f"{mode}: without root the engine cannot bound {', '.join(missing)}"
        return fail("limits", detail, _DELEGATE)
    if missing:
        return fail("limits", f"{mode}: cannot bound {', '.join(missing)}", f"{fix} && sudo reboot")
    if "swap" not in facts.limits:
        return warn("limits", f"{mode}: swap is not bounded", f"{fix} && sudo reboot")
    return ok("limits", f"{mode}: memory, swap, cpus, processes")


def storage(facts: EngineFacts) -> HealthCheck:
    """Judge how the engine keeps images."""
    if facts.storage_driver not in _LAYERED:
        detail = f"{facts.storage_driver or 'unknown'}: every container copies its whole image"
        set_driver = f'sudoedit /etc/docker/daemon.json   # {{"storage-driver": "overlay2"}}; then {_RESTART}'
        return warn("storage-driver", detail, set_driver)
    return ok("storage-driver", facts.storage_driver)


def engine_space(seen: EngineState) -> HealthCheck:
    """Judge what the engine's disk can still take."""
    if seen.disk is None:
        return warn("engine-space", "the engine's folder is not seen from here", "docker system df")
    return space("engine-space", seen.disk, "docker image prune")


def confinement(facts: EngineFacts) -> HealthCheck:
    """Judge what stands between a container and the kernel beside namespaces."""
    options = " ".join(facts.security_options)
    if "seccomp" not in options:
        return fail(
            "confinement",
            "the engine filters no system calls",
            f"sudo apt-get install --reinstall docker.io && {_RESTART}",
        )
    modules = [name for name in ("apparmor", "selinux") if name in options]
    if not modules:
        detail = "seccomp; neither AppArmor nor SELinux"
        return warn("confinement", detail, f"sudo apt-get install apparmor && {_RESTART}")
    return ok("confinement", f"seccomp, {', '.join(modules)}")


def user_namespaces(machine: MachineFacts) -> HealthCheck:
    """Judge whether an engine without root could run here."""
    count = machine.user_namespaces
    if not count:
        detail = "the kernel gives none: no engine without root can run here"
        return warn("user-namespaces", detail, "sudo sysctl -w user.max_user_namespaces=15000")
    return ok("user-namespaces", f"at most {count}")


def gpus(seen: GpuInventory) -> HealthCheck:
    """Judge whether there are GPUs, and whether their driver answers for each."""
    for device in seen.devices:
        if device.fault:
            return warn("gpus", f"GPU {device.index}: {device.fault}", "nvidia-smi")
    if seen.devices:
        counts = Counter(short_name(unit.name) for unit in units(seen))
        listed = ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counts.items())
        return ok("gpus", f"{listed}; driver {seen.driver}, CUDA {seen.cuda}")
    if seen.kernel_driver:
        detail = f"the kernel has NVIDIA's driver, but {seen.fault or 'no GPU is counted'}"
        return warn("gpus", detail, "sudo apt-get install libnvidia-ml1 && nvidia-smi")
    return ok("gpus", f"none: {seen.fault or 'the driver counts none'}")


def leftovers(seen: Leftovers) -> HealthCheck:
    """Say what dead launches had left."""
    if seen.fault is not None:
        return warn("left-overs", f"not removed: {seen.fault.message}", seen.fault.fix)
    if seen.removed:
        return ok("left-overs", f"removed those of {seen.removed} dead launch(es)")
    return ok("left-overs", "none")
