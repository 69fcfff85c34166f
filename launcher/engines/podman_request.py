"""Say to Podman what a Docker Engine is asked to create: the same sandbox in libpod's words.

Podman's Docker-compatible interface passes over masked paths, takes a filter only as a file and adds mounts
of its own; libpod's own, https://docs.podman.io/en/latest/_static/api.html, has words for all of it. Each
key of the request is either said or refused: what Podman has no words for is never left out.
"""

import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from launcher.errors import RequirementError
from launcher.spec.sandbox import HOSTNAME

_PERIOD: Final = 100_000
_NANO: Final = 10**9
# What every request of ours says, and libpod does by itself or is told otherwise.
_SAID: Final = """
    AttachStdin AttachStdout AttachStderr OpenStdin StdinOnce NetworkDisabled Healthcheck HostConfig Image
    Entrypoint Cmd Env WorkingDir Labels User Hostname Tty StopSignal
"""
_HOST_SAID: Final = """
    Runtime NetworkMode IpcMode CgroupnsMode PidMode UTSMode Privileged ReadonlyRootfs CapDrop SecurityOpt
    MaskedPaths ReadonlyPaths Mounts LogConfig RestartPolicy AutoRemove Init Memory MemorySwap NanoCpus
    PidsLimit ShmSize Tmpfs Ulimits OomScoreAdj CpusetCpus DeviceRequests
"""
# Paths that libpod mounts read-only or masks in every container that is not privileged.
_READ_ONLY_ANYWAY: Final = frozenset(
    {"/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)
_FLAGS: Final = frozenset({"rw", "ro", "nosuid", "nodev", "noexec", "exec"})
_PRIVATE: Final = {"nsmode": "private"}


class Beside(Struct, frozen=True):
    """What must be there before a container: the file of its filter, volumes by place."""

    seccomp: str | None = None
    volumes: Mapping[str, str] = {}


def specification(name: str | None, body: Mapping[str, Any], beside: Beside) -> dict[str, Any]:
    """Return the body of libpod's ContainerCreate for `body`, a request to a Docker Engine.

    Raises `RequirementError` for what cannot be said.
    """
    host: Mapping[str, Any] = body.get("HostConfig") or {}
    _refuse_unsaid(body, host)
    return {
        **({"name": name} if name else {}),
        "image": body["Image"],
        "entrypoint": body.get("Entrypoint") or [],
        "command": list(body.get("Cmd") or []),
        "env": dict(line.split("=", 1) for line in body.get("Env") or []),
        # What Podman adds to an environment by itself.
        "unsetenv": ["container", "TERM"],
        "work_dir": body.get("WorkingDir") or "/",
        "labels": body.get("Labels") or {},
        "user": body.get("User") or "",
        # Who joins a network namespace has that of its holder on Docker, and may be told it here.
        "hostname": body.get("Hostname") or HOSTNAME,
        "stdin": bool(body.get("OpenStdin")),
        "terminal": bool(body.get("Tty")),
        "stop_signal": 9,
        "stop_timeout": 0,
        "healthconfig": {"Test": ["NONE"]},
        "systemd": "false",
        "sdnotifyMode": "ignore",
        "httpproxy": False,
        "env_host": False,
        **(_isolation(host, beside) if host else {"netns": {"nsmode": "none"}}),
    }


def filter_of(body: Mapping[str, Any]) -> str | None:
    """Return the text of the system call filter that a request carries."""
    options = (body.get("HostConfig") or {}).get("SecurityOpt") or ()
    return next((text.removeprefix("seccomp=") for text in options if text.startswith("seccomp=")), None)


def scratch_volumes(body: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the volume, by place, that stands for each scratch folder of a request.

    Podman knows no owner and no number of files of a tmpfs that is a container's own, but of a volume's.
    """
    scratch: Mapping[str, str] = (body.get("HostConfig") or {}).get("Tmpfs") or {}
    return {
        place: {
            "Driver": "local",
            "Options": {"type": "tmpfs", "device": "tmpfs", "o": _in_blocks(options)},
            "Label": dict(body.get("Labels") or {}),
        }
        for place, options in scratch.items()
    }


def _in_blocks(options: str) -> str:
    """Return options with their size in the kernel's pages: a size is a disk quota to Podman, even here."""
    page = resource.getpagesize()
    given = [each.partition("=") for each in options.split(",")]
    return ",".join(
        f"nr_blocks={-(-int(value) // page)}" if key == "size" else f"{key}{equals}{value}"
        for key, equals, value in given
    )


def _isolation(host: Mapping[str, Any], beside: Beside) -> dict[str, Any]:
    return {
        "oci_runtime": host["Runtime"],
        "netns": _network(host["NetworkMode"]),
        "ipcns": _PRIVATE,
        "pidns": _PRIVATE,
        "utsns": _PRIVATE,
        "cgroupns": _PRIVATE,
        "privileged": False,
        "cap_drop": list(host["CapDrop"]),
        "no_new_privileges": "no-new-privileges" in host["SecurityOpt"],
        **({"seccomp_profile_path": beside.seccomp} if beside.seccomp else {}),
        "read_only_filesystem": bool(host["ReadonlyRootfs"]),
        "read_write_tmpfs": False,
        "mask": list(host["MaskedPaths"]),
        "mounts": [_bind(mount) for mount in host["Mounts"]],
        "volumes": [
            {"Name": volume, "Dest": place, "Options": _flags(host["Tmpfs"][place])}
            for place, volume in beside.volumes.items()
        ],
        # Else Podman mounts files of its own over these, with names and servers of this machine.
        "use_image_hosts": True,
        "use_image_resolve_conf": True,
        "log_configuration": {"driver": host["LogConfig"]["Type"]},
        "restart_policy": host["RestartPolicy"]["Name"],
        "remove": False,
        "init": False,
        "shm_size": host["ShmSize"],
        "oom_score_adj": host["OomScoreAdj"],
        "r_limits": _limits(host["Ulimits"]),
        "resource_limits": _resources(host),
        **_devices(host.get("DeviceRequests") or ()),
    }


def _resources(host: Mapping[str, Any]) -> dict[str, Any]:
    cpu: dict[str, Any] = {"period": _PERIOD, "quota": host["NanoCpus"] * _PERIOD // _NANO}
    if host.get("CpusetCpus"):
        cpu["cpus"] = host["CpusetCpus"]
    return {
        "memory": {"limit": host["Memory"], "swap": host["MemorySwap"]},
        "cpu": cpu,
        "pids": {"limit": host["PidsLimit"]},
    }


def _limits(asked: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the limits; without one for processes Podman asks for more than a host may let it have."""
    limits = [
        {"type": limit["Name"].upper(), "soft": limit["Soft"], "hard": limit["Hard"]} for limit in asked
    ]
    if not any(limit["type"] == "NPROC" for limit in limits):
        most = _most_processes()
        limits.append({"type": "NPROC", "soft": most, "hard": most})
    return limits


def _most_processes() -> int:
    """Return the limit that Podman gives itself: the host's number of process ids, within its own limit."""
    ids = int(Path("/proc/sys/kernel/pid_max").read_text())
    _, own = resource.getrlimit(resource.RLIMIT_NPROC)
    return ids if own == resource.RLIM_INFINITY else min(own, ids)


def _network(mode: str) -> dict[str, str]:
    if mode in ("none", "host"):
        return {"nsmode": mode}
    if mode.startswith("container:"):
        return {"nsmode": "container", "value": mode.removeprefix("container:")}
    raise _unsaid("NetworkMode", mode)


def _bind(mount: Mapping[str, Any]) -> dict[str, Any]:
    if mount["Type"] != "bind":
        raise _unsaid("Mounts", str(mount["Type"]))
    access = "ro" if mount["ReadOnly"] else "rw"
    return {
        "destination": mount["Target"],
        "source": mount["Source"],
        "type": "bind",
        "options": ["rbind", access, (mount.get("BindOptions") or {}).get("Propagation") or "rprivate"],
    }


def _flags(options: str) -> list[str]:
    """Return those of a scratch folder's options that a bind of it takes too."""
    return [each for each in options.split(",") if each in _FLAGS]


def _devices(asked: list[Mapping[str, Any]] | tuple[()]) -> dict[str, Any]:
    """Return GPUs by the names that the Container Device Interface has for them."""
    names = []
    for request in asked:
        if request.get("Driver") not in ("cdi", "nvidia") or not request.get("DeviceIDs"):
            raise _unsaid("DeviceRequests", str(request.get("Driver")))
        names += [each if "=" in each else f"nvidia.com/gpu={each}" for each in request["DeviceIDs"]]
    return {"devices": [{"path": name} for name in names]} if names else {}


def _refuse_unsaid(body: Mapping[str, Any], host: Mapping[str, Any]) -> None:
    for key in sorted({*body} - {*_SAID.split()}) + sorted({*host} - {*_HOST_SAID.split()}):
        value = body.get(key, host.get(key))
        if value:
            raise _unsaid(key, str(value)[:200])
    beyond = sorted({*(host.get("ReadonlyPaths") or ())} - _READ_ONLY_ANYWAY)
    if beyond:
        raise _unsaid("ReadonlyPaths", ", ".join(beyond))
    for key, only in (("IpcMode", "private"), ("CgroupnsMode", "private"), ("PidMode", ""), ("UTSMode", "")):
        if host.get(key, only) != only:
            raise _unsaid(key, str(host[key]))
    for option in host.get("SecurityOpt") or ():
        if option != "no-new-privileges" and not option.startswith("seccomp="):
            raise _unsaid("SecurityOpt", option[:200])
    if host.get("Privileged") or host.get("Init") or host.get("AutoRemove"):
        raise _unsaid("Privileged, Init or AutoRemove", "true")


def _unsaid(key: str, value: str) -> RequirementError:
    return RequirementError(
        f"Podman cannot be told `{key}` of the sandbox",
        code="podman-cannot",
        context=f"asked for {value}",
        hint="launch on a Docker Engine: `--engine docker`",
    )
