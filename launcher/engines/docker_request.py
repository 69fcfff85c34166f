"""Write what the Docker Engine is asked to create: a task and its profile as a request body, nothing implied.

The body is that of ContainerCreate, https://docs.docker.com/reference/api/engine/version/v1.41/. It is
written out here because docker-py's own builder has no words for masked paths.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from launcher.engines.docker_gpus import gpu_devices
from launcher.engines.engine import ContainerTask, Mount
from launcher.spec.sandbox import (
    HOSTNAME,
    MASKED_PATHS,
    OOM_SCORE_ADJUSTMENT,
    READ_ONLY_PATHS,
    USER_ID,
    SandboxProfile,
)
from launcher.spec.seccomp import seccomp_text

_HERE = Path(__file__).resolve().parent
INIT_SOURCE = _HERE / "init" / "evalctl-init"
HOSTS_SOURCE = _HERE / "hosts"
POD_SOURCE = _HERE / "pod" / "evalctl-pod"
OWN_FILES = {INIT_SOURCE: 0o555, HOSTS_SOURCE: 0o444, POD_SOURCE: 0o555}
_NANO = 10**9
# To the engine gVisor's own threads count, a guest's do not: with fewer, a burst of forks ends the sandbox.
_LEAST_PIDS = {"runsc": 4096}


def container_request(task: ContainerTask) -> dict[str, Any]:
    """Return the body that creates the task's container."""
    return {
        "Image": task.image,
        "Entrypoint": [own_target(task, "init")],
        "Cmd": list(task.command),
        "Env": [f"{name}={value}" for name, value in sorted(task.environment.items())],
        "WorkingDir": task.working_directory,
        "Labels": dict(task.labels),
        "User": f"{USER_ID}:{USER_ID}",
        # Who joins a network namespace has the host name of whoever holds it, and may not ask for one.
        **({"Hostname": HOSTNAME} if task.pod is None else {}),
        "Domainname": "",
        # The runtime makes an empty network namespace with a loopback by itself, in half the time that the
        # engine's network controller takes; `NetworkMode` none says it again to engines that ignore this.
        "NetworkDisabled": task.pod is None,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "OpenStdin": True,
        # The engine closes standard input when the launcher is gone: that is how the init knows.
        "StdinOnce": True,
        "Tty": False,
        # The engine's own stop: what pid 1 does not handle cannot reach it, except this.
        "StopSignal": "SIGKILL",
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": _host_config(task),
    }


def own_target(task: ContainerTask, name: str) -> str:
    """Return where a program of ours is mounted: a place drawn for the launch, which no image can foresee.

    At a known place an image could have a link, by which another program becomes the first process.
    """
    return f"/.{task.name}/{name}"


def session_request(task: ContainerTask, *, terminal: bool) -> dict[str, Any]:
    """Return the body of the task's container for a person: the same but for the name of our first process.

    As `attend` it hands nothing over, since its orders and its hand-over would go over the streams that a
    person wants for the command. The engine's own init is of no use: it insists on handing the terminal to
    its child, which the sandbox's filter forbids.
    """
    return {**_begun_by(task, INIT_SOURCE, "attend"), "Tty": terminal}


def pod_request(task: ContainerTask) -> dict[str, Any]:
    """Return the body of a pod: the task's container with the pod program alone as its first process."""
    return _begun_by(task, POD_SOURCE, "pod")


def _begun_by(task: ContainerTask, program: Path, name: str) -> dict[str, Any]:
    """Return the task's request with another first process, mounted under `name`, in the init's place."""
    request, target = container_request(task), own_target(task, name)
    host = request["HostConfig"]
    mounts = [
        {**mount, "Source": str(program), "Target": target}
        if mount["Target"] == own_target(task, "init")
        else mount
        for mount in host["Mounts"]
    ]
    return {**request, "Entrypoint": [target], "HostConfig": {**host, "Mounts": mounts}}


def _host_config(task: ContainerTask) -> Mapping[str, Any]:
    return {
        "Runtime": task.profile.runtime,
        "NetworkMode": "none" if task.pod is None else f"container:{task.pod.container}",
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "PidMode": "",
        "UTSMode": "",
        "Privileged": False,
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges", f"seccomp={_filter(task.profile)}"],
        "MaskedPaths": list(MASKED_PATHS),
        "ReadonlyPaths": list(READ_ONLY_PATHS),
        "Mounts": [*(_mount(mount) for mount in (*_own_mounts(task), *task.mounts)), *_state(task)],
        "LogConfig": {"Type": "none", "Config": {}},
        "RestartPolicy": {"Name": "no"},
        "AutoRemove": False,
        "Init": False,
        **_limits(task.profile),
        **({"CpusetCpus": task.cpuset} if task.cpuset else {}),
        **gpu_devices(task),
    }


def _filter(profile: SandboxProfile) -> str:
    return seccomp_text(profile.variant, profile.widenings)


def _own_mounts(task: ContainerTask) -> tuple[Mount, ...]:
    hosts = task.pod.hosts if task.pod else HOSTS_SOURCE
    return Mount(INIT_SOURCE, own_target(task, "init")), Mount(hosts, "/etc/hosts")


def _limits(profile: SandboxProfile) -> Mapping[str, Any]:
    return {
        "Memory": profile.memory,
        "MemorySwap": profile.memory,
        "NanoCpus": profile.cpus * _NANO,
        "PidsLimit": max(profile.pids, _LEAST_PIDS.get(profile.runtime, 0)),
        "ShmSize": profile.shm,
        "Tmpfs": {scratch.path: scratch.mount_options() for scratch in profile.scratch},
        "Ulimits": [{"Name": name, "Soft": limit, "Hard": limit} for name, limit in profile.ulimits],
        "OomScoreAdj": OOM_SCORE_ADJUSTMENT,
    }


def _state(task: ContainerTask) -> Iterator[Mapping[str, Any]]:
    """Yield the bind of the one folder of the host that the container may write to."""
    if task.state is not None:
        assert task.profile.state  # noqa: S101 - the profile names what the lock pins
        yield {**_mount(Mount(task.state, task.profile.state.path)), "ReadOnly": False}


def _mount(mount: Mount) -> Mapping[str, Any]:
    """Return a bind of the kind that fails when its source is missing, instead of making a folder there."""
    return {
        "Type": "bind",
        "Source": str(mount.source),
        "Target": mount.target,
        "ReadOnly": True,
        "BindOptions": {"Propagation": "rprivate"},
    }
