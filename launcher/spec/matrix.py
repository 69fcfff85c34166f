"""Check that the axes of a `[matrix]` name keys of the blueprint and take values those keys may have."""

from collections.abc import Iterator, Mapping
from typing import Any

from launcher.spec.kinds import Fault, Free, MapOf, Table, printable
from launcher.spec.positions import Path

MAX_CELLS = 10_000
_FIXED = ("schema", "blueprint", "matrix", "bundle")


def matrix_faults(values: Mapping[str, Any], language: Table) -> Iterator[Fault]:
    """Yield what is wrong with the axes and cells of what was read of a blueprint."""
    matrix = values.get("matrix", {})
    axes = matrix.get("axes", {})
    cells = 1
    for name, choices in axes.items():
        listed = choices if isinstance(choices, list) else []
        cells *= max(1, len(listed))
        yield from _axis_faults(("matrix", "axes", name), name, listed, values, language)
    if cells > MAX_CELLS:
        yield Fault(
            ("matrix", "axes"),
            f"the axes make {cells} combinations, more than {MAX_CELLS}; leave some values out",
        )
    for part in ("include", "exclude"):
        for index, cell in enumerate(matrix.get(part, [])):
            for name in cell if isinstance(cell, dict) else ():
                if name not in axes:
                    path = ("matrix", part, index, name)
                    message = f"`{printable(name)}` is not an axis"
                    yield Fault(path, message, "key", name, tuple(axes))


def _axis_faults(
    path: Path, name: str, choices: list[Any], values: Mapping[str, Any], language: Table
) -> Iterator[Fault]:
    steps = tuple(name.split("."))
    kind: Any = language
    for index, step in enumerate(steps):
        if isinstance(kind, Free):
            if not _exists(values, steps):
                yield Fault(
                    path,
                    f"`{printable(name)}` is not in the blueprint; write it there, or correct the axis",
                    "key",
                )
            return
        if isinstance(kind, MapOf):
            kind = kind.item
            continue
        names = tuple(key.name for key in kind.keys) if isinstance(kind, Table) else ()
        if step not in names or (index == 0 and step in _FIXED):
            message = f"`{printable(name)}` is not a key that an axis can vary"
            yield Fault(path, message, "key", step, tuple(known for known in names if known not in _FIXED))
            return
        kind = next(key.kind for key in kind.keys if key.name == step)
    for index, choice in enumerate(choices):
        faults: list[Fault] = []
        kind.read(choice, (*path, index), faults)
        yield from faults


def _exists(values: Any, steps: tuple[str, ...]) -> bool:
    for step in steps:
        if not isinstance(values, dict) or step not in values:
            return False
        values = values[step]
    return True
