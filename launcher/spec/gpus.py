"""What a machine's GPUs are, as its driver tells it: frozen values, sizes in bytes."""

from typing import Literal

from msgspec import Struct

# What stands before a model's own name, which people leave out.
_MAKERS = ("nvidia ", "tesla ")

ComputeMode = Literal["default", "exclusive-thread", "prohibited", "exclusive-process", "unknown"]


class GpuProcess(Struct, frozen=True):
    """A program that computes on a GPU; `memory` is None where the driver does not say."""

    pid: int
    memory: int | None = None
    name: str = ""

    def __str__(self) -> str:
        named = f" ({self.name})" if self.name else ""
        held = f" with {gibibytes(self.memory)}" if self.memory else ""
        return f"pid {self.pid}{named}{held}"


class Clock(Struct, frozen=True):
    """A clock in MHz: what it runs at and the most it may."""

    current: int | None
    maximum: int | None


class MigInstance(Struct, frozen=True):
    """A slice of a GPU: a compute instance with memory of its own; `profile` is such as `3g.20gb`."""

    index: int
    uuid: str
    profile: str
    memory: int
    memory_used: int | None = None
    gpu_instance: int | None = None
    compute_instance: int | None = None
    processes: tuple[GpuProcess, ...] = ()


class GpuDevice(Struct, frozen=True):
    """One GPU; what its model does not have, or the driver does not tell, is None.

    `index` counts in the order of the PCI bus, `minor` is the number of its device file. `ecc_errors` are the
    uncorrected ones since the driver was loaded. `fault` says why it cannot be used, empty where it can.
    """

    index: int
    uuid: str
    model: str
    memory: int
    compute_capability: tuple[int, int]
    minor: int | None = None
    pci: str = ""
    memory_used: int | None = None
    mig: bool | None = None
    instances: tuple[MigInstance, ...] = ()
    ecc: bool | None = None
    ecc_errors: int | None = None
    compute_mode: ComputeMode = "default"
    clocks: dict[str, Clock] = {}
    persistence: bool | None = None
    processes: tuple[GpuProcess, ...] = ()
    fault: str = ""


class GpuInventory(Struct, frozen=True):
    """All GPUs of a machine; `fault` is empty where the driver answers, else why it does not.

    `kernel_driver` says whether the kernel has NVIDIA's module, whatever its library says.
    """

    devices: tuple[GpuDevice, ...] = ()
    driver: str = ""
    cuda: str = ""
    fault: str = ""
    kernel_driver: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The models, in order."""
        return tuple(device.model for device in self.devices)


class GpuUnit(Struct, frozen=True):
    """What can be handed to a container by its UUID: a whole GPU, or a slice of one in MIG mode."""

    uuid: str
    name: str
    memory: int
    memory_used: int | None
    compute_capability: tuple[int, int]
    place: tuple[int, int]
    device: GpuDevice
    processes: tuple[GpuProcess, ...]
    is_slice: bool = False

    @property
    def label(self) -> str:
        """How people name it: its number, `0` or `0:1` for a slice."""
        device, part = self.place
        return f"{device}:{part}" if self.is_slice else str(device)


def units(inventory: GpuInventory) -> tuple[GpuUnit, ...]:
    """Return what can be handed out, in order: a GPU in MIG mode is its slices, never itself."""
    found = []
    for device in inventory.devices:
        if device.mig:
            found += [_slice(device, instance) for instance in device.instances]
        else:
            found.append(
                GpuUnit(
                    device.uuid,
                    device.model,
                    device.memory,
                    device.memory_used,
                    device.compute_capability,
                    (device.index, 0),
                    device,
                    device.processes,
                )
            )
    return tuple(found)


def _slice(device: GpuDevice, instance: MigInstance) -> GpuUnit:
    return GpuUnit(
        instance.uuid,
        f"{device.model} MIG {instance.profile}",
        instance.memory,
        instance.memory_used,
        device.compute_capability,
        (device.index, instance.index),
        device,
        instance.processes,
        is_slice=True,
    )


def short_name(name: str) -> str:
    """Return a model's name without its maker's."""
    shorter = name
    while any(shorter.lower().startswith(maker) for maker in _MAKERS):
        shorter = shorter.partition(" ")[2]
    return shorter or name


def gibibytes(size: int) -> str:
    """Return a size as people compare GPUs by."""
    return f"{size / (1 << 30):.1f} GiB"
