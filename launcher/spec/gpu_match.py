"""Match the GPUs that one container asks for with those of a machine, within its grants: a pure function."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from launcher.errors import RequirementError
from launcher.spec.blueprint import Gpu
from launcher.spec.gpu_grants import Grant, granted
from launcher.spec.gpus import GpuDevice, GpuInventory, GpuUnit, gibibytes, short_name, units
from launcher.spec.units import size_text
from launcher.spec.version_bounds import within

Foreign = Literal["refuse", "record"]
_MOST_SHOWN = 4


class GpuGround(Struct, frozen=True):
    """What a match stands on: the machine's GPUs, what grants leave of them, and what others hold.

    `leased` are UUIDs that other launches on this machine use; `foreign` is what to make of GPUs on which
    programs run that no launch of evalctl started. `runtime` is the sandbox's.
    """

    inventory: GpuInventory
    grants: tuple[Grant, ...] = ()
    leased: frozenset[str] = frozenset()
    foreign: Foreign = "refuse"
    runtime: str = "runc"


class GpuMatch(Struct, frozen=True):
    """The GPUs that fit, best first; `misses` says of each other one why it does not.

    Best is what wastes the least memory, then what comes first.
    """

    wanted: Gpu
    fitting: tuple[GpuUnit, ...]
    misses: tuple[tuple[str, tuple[str, ...]], ...]
    ground: GpuGround

    @property
    def suffices(self) -> bool:
        """Say whether enough GPUs fit, other launches' included: those come free."""
        return len(self.fitting) >= self.wanted.count

    @property
    def chosen(self) -> tuple[GpuUnit, ...]:
        """Those that a launch would be given at this moment, as far as there are enough that nobody holds."""
        free = [unit for unit in self.fitting if unit.uuid not in self.ground.leased]
        return tuple(free[: self.wanted.count])


def match(wanted: Gpu, ground: GpuGround) -> GpuMatch:
    """Hold every GPU and slice against what is asked.

    Raises `RequirementError` where the option `--gpus` names a GPU that is not here.
    """
    found = units(ground.inventory)
    allowed = granted(found, ground.grants)
    fitting, misses = [], []
    for unit in found:
        if unit.uuid not in allowed:
            continue
        reasons = tuple(_reasons(unit, wanted, ground))
        if reasons:
            misses.append((f"{short_name(unit.name)} ({unit.label})", reasons))
        else:
            fitting.append(unit)
    fitting.sort(key=lambda unit: (unit.memory - (wanted.memory or 0), unit.place))
    misses.sort(key=lambda miss: len(miss[1]))
    return GpuMatch(wanted, tuple(fitting), tuple(misses), ground)


def refuse_unmatched(found: GpuMatch) -> None:
    """Raise `RequirementError`, with the nearest misses, unless enough GPUs fit."""
    if found.suffices:
        return
    raise RequirementError(
        "this machine cannot give the GPUs that the blueprint asks for",
        code="gpu-unmet",
        context=f"expected {asked(found.wanted)}; got {_got(found)}",
        hint=_hint(found),
    )


def allot(wanted: Sequence[Gpu | None], ground: GpuGround) -> tuple[tuple[GpuUnit, ...], ...] | None:
    """Return GPUs for each of the containers that run together; None while other launches hold some.

    Raises `RequirementError` where the machine has not enough, whoever holds them.
    """
    free = _allotted(wanted, ground, ground.leased)
    if free is None:
        allot_all(wanted, ground)
    return free


def allot_all(wanted: Sequence[Gpu | None], ground: GpuGround) -> tuple[tuple[GpuUnit, ...], ...]:
    """Return what the containers would be given if nobody else held any; raises as `allot` does."""
    given = _allotted(wanted, ground, frozenset())
    if given is None:
        together = " and ".join(asked(gpu) for gpu in wanted if gpu)
        raise RequirementError(
            "this machine cannot give the GPUs that containers beside each other ask for",
            code="gpu-unmet",
            context=f"expected {together}, none of them shared",
            hint="ask for fewer in [resources.gpu], or launch on a machine with more",
        )
    return given


def _allotted(
    wanted: Sequence[Gpu | None], ground: GpuGround, taken: frozenset[str]
) -> tuple[tuple[GpuUnit, ...], ...] | None:
    """Give to whom the fewest fit first."""
    found = {place: match(gpu, ground) for place, gpu in enumerate(wanted) if gpu is not None}
    given: dict[int, tuple[GpuUnit, ...]] = {}
    for place in sorted(found, key=lambda place: len(found[place].fitting)):
        refuse_unmatched(found[place])
        free = [unit for unit in found[place].fitting if unit.uuid not in taken]
        given[place] = tuple(free[: found[place].wanted.count])
        if len(given[place]) < found[place].wanted.count:
            return None
        taken |= {unit.uuid for unit in given[place]}
    return tuple(given.get(place, ()) for place in range(len(wanted)))


def asked(wanted: Gpu) -> str:
    """Return in words what a container asks for."""
    bounds: Mapping[str, object] = {
        "memory >=": size_text(wanted.memory) if wanted.memory else None,
        "compute capability": wanted.compute_capability,
        "model": " or ".join(wanted.models),
        "driver": wanted.driver,
    }
    told = [f"{name} {bound}" for name, bound in bounds.items() if bound]
    plural = "GPU" if wanted.count == 1 else "GPUs"
    return f"{wanted.count} {plural}{' with ' if told else ''}{', '.join(told)}"


def fits_model(name: str, patterns: Sequence[str]) -> bool:
    """Say whether a model's name, with or without its maker's, matches; `*` matches any text."""
    names = {name.lower(), short_name(name).lower()}
    expressions = (".*".join(map(re.escape, pattern.lower().split("*"))) for pattern in patterns)
    return not patterns or any(re.fullmatch(expression, each) for expression in expressions for each in names)


def _reasons(unit: GpuUnit, wanted: Gpu, ground: GpuGround) -> Iterator[str]:
    device = unit.device
    if device.fault:
        yield device.fault
        return
    capability = ".".join(map(str, unit.compute_capability))
    if wanted.memory is not None and unit.memory < wanted.memory:
        yield f"memory {gibibytes(unit.memory)} < {size_text(wanted.memory)} asked"
    if wanted.compute_capability and not within(capability, wanted.compute_capability):
        yield f"compute capability {capability}, {wanted.compute_capability} asked"
    if not fits_model(unit.name, wanted.models):
        yield f"model is none of {', '.join(wanted.models)}"
    if wanted.driver and not within(ground.inventory.driver, wanted.driver):
        yield f"driver {ground.inventory.driver or 'unknown'}, {wanted.driver} asked"
    if device.compute_mode == "prohibited":
        yield "its compute mode is `prohibited`"
    if unit.is_slice and wanted.count > 1:
        yield "it is a slice, and CUDA lets a program use one slice only"
    if unit.is_slice and ground.runtime == "runsc":
        yield "it is a slice, and runsc passes on whole GPUs only"
    free = unit.memory - (unit.memory_used or 0)
    if (
        ground.foreign == "record"
        and unit.processes
        and wanted.memory
        and free < wanted.memory <= unit.memory
    ):
        yield f"memory {gibibytes(free)} free beside others' programs < {size_text(wanted.memory)} asked"
    if unit.processes and ground.foreign == "refuse" and unit.uuid not in ground.leased:
        yield f"in use by {', '.join(map(str, unit.processes[:3]))}"


def _got(found: GpuMatch) -> str:
    inventory, grants = found.ground.inventory, found.ground.grants
    if not inventory.devices:
        return f"no GPU: {inventory.fault or 'the driver counts none'}"
    if not found.fitting and not found.misses:
        empty = [f"GPU {device.index} is in MIG mode without a slice" for device in _sliceless(inventory)]
        return "; ".join([*map(str, grants), *empty]) or "no GPU"
    shown = [f"{name}: {', '.join(reasons)}" for name, reasons in _grouped(found.misses)[:_MOST_SHOWN]]
    rest = len(_grouped(found.misses)) - len(shown)
    fit = [f"{len(found.fitting)} of {found.wanted.count} fit"] if found.fitting else []
    return "; ".join([*fit, *shown, *([f"{rest} kinds more"] if rest else []), *map(str, grants)])


def _grouped(misses: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[str, tuple[str, ...]]]:
    """Join those of one model that miss for the same reasons."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name, reasons in misses:
        model, _, label = name.rpartition(" (")
        groups.setdefault((model, reasons), []).append(label.removesuffix(")"))
    return [(f"{model} ({', '.join(labels)})", reasons) for (model, reasons), labels in groups.items()]


def _sliceless(inventory: GpuInventory) -> Iterator[GpuDevice]:
    return (device for device in inventory.devices if device.mig and not device.instances)


def _hint(found: GpuMatch) -> str:
    wanted, inventory = found.wanted, found.ground.inventory
    if not inventory.devices:
        return "launch on a machine with GPUs, or see `evalctl doctor`"
    nominal = (wanted.memory or 0) * 10**9 >> 30
    near = [unit for unit in units(inventory) if nominal <= unit.memory < (wanted.memory or 0)]
    if near:
        gigabytes = f"{(wanted.memory or 0) >> 30}GB"
        held = gibibytes(near[0].memory)
        return f'a card sold as {gigabytes} holds {held}: write `memory = "{gigabytes}"` in [resources.gpu]'
    if any("in use by" in reason for _, reasons in found.misses for reason in reasons):
        return "wait until it is free: see `nvidia-smi`"
    return "change [resources.gpu], or launch on another machine: `evalctl doctor` shows this one's GPUs"
