"""Which GPUs a scheduler or a person lets a launch use: each grant only ever narrows what is there.

`CUDA_VISIBLE_DEVICES` is read as CUDA reads it, with numbers in the order of the PCI bus:
https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-environment-variables. Slurm's lists number device
files: https://slurm.schedmd.com/gres.html.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from launcher.errors import MalformedError, RequirementError
from launcher.spec.gpus import GpuUnit

OPTION = "--gpus"

_NOTHING = frozenset({"", "-1", "nodevfiles", "none", "void"})
_LEAST_PREFIX = 8
_CHOICE = re.compile(r"[0-9]{1,4}(?::[0-9]{1,3})?|(?:GPU|MIG)-[0-9A-Za-z/-]+", re.IGNORECASE)


class Grant(Struct, frozen=True):
    """Names of GPUs from one source; no names: no GPU at all. `numbers` says what a number counts."""

    source: str
    names: tuple[str, ...]
    numbers: Literal["index", "minor"] = "index"

    def __str__(self) -> str:
        return f"{self.source} grants {', '.join(self.names) or 'none'}"


def grants_from(environment: Mapping[str, str], chosen: str | None = None) -> tuple[Grant, ...]:
    """Return what the environment's variables and the option `--gpus` grant.

    Raises `MalformedError` for an option that names no GPU.
    """
    found = [*_granted(environment)]
    if chosen is not None:
        found.append(Grant(OPTION, read_choice(chosen)))
    return tuple(found)


def read_choice(text: str) -> tuple[str, ...]:
    """Return the names in the value of `--gpus`: numbers, `NUMBER:SLICE`, UUIDs, or `none`."""
    names = tuple(name.strip() for name in text.split(","))
    if [name.lower() for name in names] == ["none"]:
        return ()
    for name in names:
        if _CHOICE.fullmatch(name) is None:
            raise MalformedError(
                f"`{name}` names no GPU",
                code="malformed-gpus",
                context="expected numbers such as 0 or 0:1 (a slice), UUIDs such as GPU-..., or `none`",
                hint="see `evalctl doctor --json`",
            )
    return names


def granted(found: Sequence[GpuUnit], grants: Iterable[Grant]) -> frozenset[str]:
    """Return the UUIDs that every grant lets a launch use.

    Raises `RequirementError` where the option names a GPU that is not here.
    """
    allowed = frozenset(unit.uuid for unit in found)
    for grant in grants:
        allowed &= frozenset(_named(found, grant))
    return allowed


def _granted(environment: Mapping[str, str]) -> Iterator[Grant]:
    if (visible := environment.get("CUDA_VISIBLE_DEVICES")) is not None:
        yield Grant("CUDA_VISIBLE_DEVICES", tuple(_until_nothing(visible)))
    for variable in ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS"):
        if (listed := environment.get(variable)) is not None:
            yield Grant(variable, tuple(_numbers(listed)), "minor")
            break
    container = environment.get("NVIDIA_VISIBLE_DEVICES", "all").strip()
    if container.lower() in _NOTHING:
        yield Grant("NVIDIA_VISIBLE_DEVICES", ())
    elif container.upper().startswith(("GPU-", "MIG-")):
        # Its numbers count on the machine outside of this container, which nobody here knows.
        yield Grant("NVIDIA_VISIBLE_DEVICES", tuple(_until_nothing(container)))


def _until_nothing(text: str) -> Iterator[str]:
    """Yield names up to the first that means none, as CUDA does."""
    for name in text.split(","):
        if name.strip().lower() in _NOTHING:
            return
        yield name.strip()


def _numbers(text: str) -> Iterator[str]:
    """Yield the names of Slurm's list, in which `0-3` is four."""
    for name in _until_nothing(text):
        ends = re.fullmatch(r"([0-9]{1,4})-([0-9]{1,4})", name)
        if ends is None:
            yield name
        else:
            yield from map(str, range(int(ends[1]), int(ends[2]) + 1))


def _named(found: Sequence[GpuUnit], grant: Grant) -> Iterator[str]:
    for name in grant.names:
        units = [unit.uuid for unit in found if _is(unit, name, grant)]
        if not units and grant.source == OPTION:
            here = ", ".join(f"{unit.label} ({unit.uuid})" for unit in found) or "none"
            raise RequirementError(
                f"there is no GPU `{name}` here",
                code="gpu-not-here",
                context=f"expected one of {here}",
                hint="see `evalctl doctor`",
            )
        if not units and grant.source == "CUDA_VISIBLE_DEVICES":
            # CUDA sees nothing from the first name on that is not there.
            return
        yield from units


def _is(unit: GpuUnit, name: str, grant: Grant) -> bool:
    """Say whether `name` is the unit, or the GPU that it is a slice of."""
    device = unit.device
    if name.isdigit():
        minor = device.index if device.minor is None else device.minor
        return int(name) == (minor if grant.numbers == "minor" else device.index)
    if ":" in name:
        return unit.is_slice and name == unit.label
    lowered = name.lower()
    return any(
        uuid.lower() == lowered or (len(lowered) >= _LEAST_PREFIX + 4 and uuid.lower().startswith(lowered))
        for uuid in (unit.uuid, device.uuid)
    )
