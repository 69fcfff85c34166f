"""The field reference of the blueprint in Markdown, made from the same declaration as its reader."""

import json
from collections.abc import Iterator
from typing import Any

from launcher.spec.kinds import REQUIRED, Key, ListOf, Table
from launcher.spec.language import BLUEPRINT

_HEAD = """\
# The blueprint, key by key

Every table and key that a blueprint may hold, as `evalctl validate` reads it; anything else is an error.
`evalctl schema blueprint` prints the same as a JSON Schema. Sizes are text such as `"4GiB"` or whole bytes,
durations text such as `"1h30m"`. A key without a default may be left out and then says nothing.
"""


def blueprint_reference() -> str:
    """Return `docs/blueprint.md`."""
    return _HEAD + "\n" + "\n".join(_sections("the top of the file", BLUEPRINT, ()))


def _sections(title: str, table: Table, path: tuple[str, ...]) -> Iterator[str]:
    yield f"## {title[0].upper()}{title[1:]}\n\n{table.text}{_choice(table)}\n"
    yield "| key | must be | default | meaning |\n|---|---|---|---|"
    yield from (_row(key) for key in table.keys)
    yield ""
    for key in table.keys:
        below = (*path, key.name)
        if isinstance(key.kind, Table):
            yield from _sections(f"`[{'.'.join(below)}]`", key.kind, below)
        elif isinstance(key.kind, ListOf) and isinstance(key.kind.item, Table):
            yield from _sections(f"`[[{'.'.join(below)}]]`", key.kind.item, below)


def _choice(table: Table) -> str:
    if table.exactly_one:
        return f" Exactly one of {_names(table.exactly_one)} must be there."
    return f" At least one of {_names(table.at_least_one)} must be there." if table.at_least_one else ""


def _names(keys: tuple[str, ...]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def _row(key: Key) -> str:
    cells = (f"`{key.name}`", _cell(key.kind.label), _default(key.default), _cell(key.text))
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _default(value: Any) -> str:
    if value is REQUIRED:
        return "**required**"
    return "" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"
