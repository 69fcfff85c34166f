"""What containers of an attempt are given of this machine while they run: processors and GPUs."""

import platform
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from launcher.engines.docker_gpus import refuse_without_nvproxy
from launcher.engines.engine import ContainerTask, EngineFacts, GpuDriver
from launcher.environment.leases import Allocation, Leases, machine_leases, release
from launcher.environment.processors import Processor, choose, cpu_list, own_processors
from launcher.errors import InfrastructureError, RequirementError
from launcher.runs.request import GpuSight, LaunchRequest
from launcher.runs.wants import Want, asked_gpus, phases_of, wants_of
from launcher.spec.gpu_match import GpuGround, allot, match
from launcher.spec.gpus import GpuInventory, GpuUnit, units
from launcher.spec.site import SitePolicy

# What stands in the container's environment whatever the image says: numbers in the order of the PCI bus.
GPU_ENVIRONMENT: Mapping[str, str] = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
_LOOK_AGAIN = 0.3
_GPU_PREFIX, _CPU_PREFIX = "gpu-", "cpu-"
_MANY = 10**6
_NO_GPUS = GpuGround(GpuInventory())


def _silent(text: str) -> None:
    """Say nothing."""


class Share(Struct, frozen=True):
    """What one container is given; `cpus` are None where it may run on any, `remark` says why not its own."""

    cpus: tuple[int, ...] | None = None
    exclusive: bool = False
    remark: str = ""
    gpus: tuple[GpuUnit, ...] = ()

    def given_to(self, task: ContainerTask, driver: GpuDriver = "nvidia") -> ContainerTask:
        """Return the task with what it is given; `driver` is what puts GPUs into its container."""
        cpuset = "" if self.cpus is None else cpu_list(self.cpus)
        if not self.gpus:
            return replace(task, cpuset=cpuset)
        return replace(
            task,
            cpuset=cpuset,
            gpus=tuple(unit.uuid for unit in self.gpus),
            gpu_driver=driver,
            environment={**task.environment, **gpu_environment(self.gpus)},
        )

    def as_json(self) -> dict[str, Any]:
        """Return the share as a fact of the environment."""
        return {
            "cpus": None if self.cpus is None else cpu_list(self.cpus),
            "exclusive": self.exclusive,
            "gpus": [unit.uuid for unit in self.gpus],
            **({"remark": self.remark} if self.remark else {}),
        }


class Machine(Struct, frozen=True):
    """What can be shared out: this process's processors, and the GPUs that it may use.

    `processors` is empty where nothing is pinned, with the reason in `unpinned`. `look` reads the GPUs anew.
    """

    leases: Leases = Leases(Path())
    processors: tuple[Processor, ...] = ()
    unpinned: str = ""
    whole: bool = True
    ground: GpuGround | None = None
    look: Callable[[], GpuInventory] | None = None
    say: Callable[[str], None] = _silent

    def width(self, wants: Sequence[Want]) -> int:
        """Return how many times the containers can run at once, with GPUs and processors of their own."""
        bounds = [_MANY]
        if self.processors:
            bounds.append(len(self.processors) // sum(want.cpus for want in wants))
        gpus = [want.gpu for want in wants if want.gpu is not None]
        if gpus:
            fitting = [match(gpu, self.ground or _NO_GPUS).fitting for gpu in gpus]
            bounds += [len(found) // gpu.count for gpu, found in zip(gpus, fitting, strict=True)]
            bounds.append(
                len({unit.uuid for found in fitting for unit in found}) // sum(g.count for g in gpus)
            )
        return max(1, min(bounds))

    def require(self, wants: Sequence[Want]) -> None:
        """Raise `RequirementError` unless the machine can give the containers' GPUs, now or later."""
        if any(want.gpu for want in wants):
            allot([want.gpu for want in wants], self.seen())

    def seen(self) -> GpuGround:
        """Return what GPUs are matched with, and who holds which at this moment."""
        with self.leases.allocating() as allocation:
            return self._ground(allocation, fresh=False)

    @contextmanager
    def lend(self, wants: Sequence[Want], cancel: threading.Event) -> Iterator[tuple[Share, ...] | None]:
        """Give each of the containers that run together its share until the block ends; None when cancelled.

        GPUs are waited for while other launches hold them. Processors are not: where too few are free, the
        containers share this process's, and the shares say so. Raises `InfrastructureError` where a GPU that
        was there is not any more.
        """
        shares: tuple[Share, ...] | None = None
        locks: list[int] = []
        told = False
        while shares is None and not cancel.is_set():
            shares, locks = self._try(wants, fresh=told)
            if shares is None:
                if not told:
                    self.say("waiting for GPUs that another launch uses")
                    told = True
                cancel.wait(_LOOK_AGAIN)
        try:
            yield shares
        finally:
            release(locks)

    def _try(self, wants: Sequence[Want], *, fresh: bool) -> tuple[tuple[Share, ...] | None, list[int]]:
        """Take everything or nothing."""
        locks: list[int] = []
        if not self.processors and not any(want.gpu for want in wants):
            return tuple(Share(remark=self.unpinned) for _ in wants), locks
        try:
            with self.leases.allocating() as allocation:
                gpus = self._gpus(wants, allocation, locks, fresh=fresh)
                if gpus is None:
                    release(locks)
                    return None, []
                cpus = [self._cpus(want.cpus, allocation, locks) for want in wants]
        except BaseException:
            release(locks)
            raise
        return tuple(replace(share, gpus=given) for share, given in zip(cpus, gpus, strict=True)), locks

    def _gpus(
        self, wants: Sequence[Want], allocation: Allocation, locks: list[int], *, fresh: bool
    ) -> tuple[tuple[GpuUnit, ...], ...] | None:
        """Take GPUs for each of `wants`; None where some are held by another launch."""
        if not any(want.gpu for want in wants):
            return ((),) * len(wants)
        try:
            given = allot([want.gpu for want in wants], self._ground(allocation, fresh=fresh))
        except RequirementError as error:
            raise InfrastructureError(
                "a GPU that was here is not to be had any more",
                code="gpu-gone",
                context=error.context,
                hint="evalctl doctor",
            ) from error
        for unit in (unit for units_given in given or () for unit in units_given):
            lock = allocation.take(_GPU_PREFIX + unit.uuid)
            if lock is not None:
                locks.append(lock)
        return given

    def _ground(self, allocation: Allocation, *, fresh: bool) -> GpuGround:
        ground = self.ground or _NO_GPUS
        if fresh and self.look is not None:
            ground = replace(ground, inventory=self.look())
        names = {_GPU_PREFIX + unit.uuid: unit.uuid for unit in units(ground.inventory)}
        return replace(ground, leased=frozenset(names[name] for name in allocation.held(names)))

    def _cpus(self, count: int, allocation: Allocation, locks: list[int]) -> Share:
        """Take `count` processors, or leave the container on all that this process has."""
        if not self.processors:
            return Share(remark=self.unpinned)
        all_of_them = None if self.whole else tuple(each.number for each in self.processors)
        names = {_CPU_PREFIX + str(each.number): each for each in self.processors}
        held = allocation.held(names)
        chosen = choose([each for name, each in names.items() if name not in held], count)
        if chosen is None:
            free = len(names) - len(held)
            return Share(all_of_them, remark=f"{count} processors asked, {free} of {len(names)} were free")
        taken = [allocation.take(_CPU_PREFIX + str(number)) for number in chosen]
        locks += [lock for lock in taken if lock is not None]
        return Share(chosen, exclusive=True)


def observe_shares(
    request: LaunchRequest, facts: EngineFacts, sight: GpuSight, site: SitePolicy, say: Callable[[str], None]
) -> Machine:
    """Return what this machine can share out to the launch's containers in the engine that says `facts`.

    Raises `RequirementError` where it has not the GPUs that they ask for, or the engine cannot pass them on.
    """
    leases = machine_leases()
    unpinned = _unpinned(facts, leases)
    own = () if unpinned else own_processors()
    machine = Machine(
        leases,
        own,
        unpinned,
        whole=len(own) >= facts.cpus,
        ground=gpu_ground(request, sight, site),
        look=sight.look,
        say=say,
    )
    for phase in phases_of(request.blueprint):
        wants = wants_of(request.blueprint, phase)
        # Where predictions are only scored again, `[run]` has no container.
        if any(want.gpu for want in wants) and (phase == "score" or request.choices.predictions is None):
            refuse_without_nvproxy(facts, request.least_runtime)
            machine.require(wants)
    return machine


def gpu_ground(request: LaunchRequest, sight: GpuSight, site: SitePolicy) -> GpuGround | None:
    """Return what the launch's GPUs are matched with; None, and no look, where it asks for none."""
    if not any(asked_gpus(request.blueprint)):
        return None
    return GpuGround(
        sight.look(), sight.grants, foreign=site.foreign_gpu_processes, runtime=request.least_runtime
    )


def gpu_environment(given: Sequence[GpuUnit]) -> dict[str, str]:
    """Return the variables of a container that has these GPUs, and sees no others."""
    # CUDA finds the one slice that is there by itself, and takes no number for it on older drivers.
    numbers = {} if given[0].is_slice else {"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(len(given))))}
    return {**GPU_ENVIRONMENT, **numbers}


def _unpinned(facts: EngineFacts, leases: Leases) -> str:
    """Say why processors are not given to containers, empty where they can be."""
    if facts.kernel != platform.release():
        return "the engine is on another machine"
    if "cpuset" not in facts.limits:
        return "the engine cannot keep containers to processors"
    try:
        with leases.allocating():
            return ""
    except InfrastructureError as error:
        return error.in_words
