"""What became of GPUs while a run used them: two inventories side by side."""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from launcher.spec.gpus import GpuInventory, GpuUnit, short_name, units


class GpuChanges(Struct, frozen=True):
    """What differs after a run: `faults` (by UUID) make its result worthless, `remarks` are told with it."""

    faults: dict[str, str] = {}
    remarks: tuple[str, ...] = ()


def gpu_changes(before: GpuInventory, after: GpuInventory, used: Iterable[str]) -> GpuChanges:
    """Compare the GPUs of these UUIDs as they were before a run and after it."""
    here, there = ({unit.uuid: unit for unit in units(inventory)} for inventory in (before, after))
    faults: dict[str, str] = {}
    remarks: list[str] = []
    for uuid in sorted(set(used)):
        old, new = here.get(uuid), there.get(uuid)
        if old is None:
            continue
        if new is None:
            faults[uuid] = _gone(old, after)
        elif fault := new.device.fault or _broken(old, new):
            faults[uuid] = f"{_named(old)}: {fault}"
        else:
            remarks += [f"{_named(old)}: {change}" for change in _changed(old, new)]
    for what, was, now in (("driver", before.driver, after.driver), ("CUDA", before.cuda, after.cuda)):
        if was != now and not after.fault:
            remarks.append(f"the GPUs' {what} was {was} before the run and {now} after it")
    return GpuChanges(faults, tuple(remarks))


def _gone(unit: GpuUnit, after: GpuInventory) -> str:
    if after.fault:
        return f"{_named(unit)}: {after.fault}"
    device = next((each for each in after.devices if each.uuid == unit.device.uuid), None)
    faults = [each.fault for each in after.devices if each.index == unit.device.index and each.fault]
    if device is not None and bool(device.mig) != bool(unit.device.mig):
        return f"{_named(unit)}: its MIG mode was changed while it was used"
    return f"{_named(unit)}: {faults[0] if faults else 'it is not there any more'}"


def _broken(old: GpuUnit, new: GpuUnit) -> str:
    errors = (new.device.ecc_errors or 0) - (old.device.ecc_errors or 0)
    return f"{errors} uncorrected memory errors (ECC) while it was used" if errors > 0 else ""


def _changed(old: GpuUnit, new: GpuUnit) -> Iterator[str]:
    for what, was, now in (
        ("ECC", old.device.ecc, new.device.ecc),
        ("compute mode", old.device.compute_mode, new.device.compute_mode),
        ("memory", old.memory, new.memory),
    ):
        if was != now:
            yield f"its {what} was {was} before the run and {now} after it"


def _named(unit: GpuUnit) -> str:
    return f"{short_name(unit.name)} ({unit.uuid})"
