"""What lies before the user and is not what the blueprint pins: a launch would run something else."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from launcher.authoring.commits import Wanted, moved_on
from launcher.digest import hash_file
from launcher.errors import EvalctlError
from launcher.sources.inputs import FetchSettings, local_path
from launcher.spec.blueprint import Blueprint

# A larger file is compared by its size alone: nobody waits for a remark.
_MOST_HASHED = 64 << 20


class Pin(Struct, frozen=True):
    """An input as the blueprint pins it: `WHAT:NAME` as `pin --update` takes it, its place and its bytes."""

    what: str
    uri: str
    sha256: str
    size: int | None


def drift(
    blueprint: Blueprint, file: Path, settings: FetchSettings, *, filled: Collection[str], draft: bool
) -> tuple[str, ...]:
    """Return a remark on the code and on each local file that is no longer what `blueprint`, in `file`, pins.

    A model whose slot is in `filled` is not looked at, nor the code of a draft. What cannot be compared is
    passed over: these are remarks, not checks.
    """
    code = blueprint.code
    wanted = Wanted(code.git, code.commit, code.path, file)
    inputs = [
        Pin(f"{item.kind}:{item.name}", item.uri, item.sha256, item.size)
        for item in blueprint.inputs
        if item.slot not in filled
    ]
    remarks = [] if draft else list(code_drift(wanted, settings, "before a commit, try it with `--draft`"))
    return (*remarks, *(remark for each in inputs for remark in input_drift(each, file, settings.base)))


def code_drift(wanted: Wanted, settings: FetchSettings, otherwise: str = "") -> Iterator[str]:
    """Yield that the pinned commit, `wanted.reference`, is not what is checked out."""
    with suppress(EvalctlError):
        moved = moved_on(wanted, settings)
        if moved:
            more = f" and {len(moved) - 1} more" if len(moved) > 1 else ""
            also = f"; {otherwise}" if otherwise else ""
            yield (
                f"`code.commit` stays; what is checked out differs in `{moved[0]}`{more}: "
                f"`evalctl pin {wanted.blueprint} --update code` moves it there{also}"
            )


def input_drift(pin: Pin, file: Path, base: Path) -> Iterator[str]:
    """Yield that the local file of an input holds other bytes than those that are pinned."""
    if pin.uri.startswith(("http://", "https://")):
        return
    place = local_path(pin.uri, base)
    with suppress(OSError, ValueError):
        if place.is_file() and _differs(place, pin):
            yield (
                f"`{pin.uri}` is not what `{pin.what}` pins, and does not run: "
                f"`evalctl pin {file} --update {pin.what}` moves it there"
            )


def _differs(place: Path, pin: Pin) -> bool:
    size = place.stat().st_size
    if pin.size is not None and size != pin.size:
        return True
    return size <= _MOST_HASHED and hash_file(place)[0] != pin.sha256
