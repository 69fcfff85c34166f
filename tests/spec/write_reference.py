"""Write docs/blueprint.md, the field reference, from the same declaration as its reader."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from launcher.spec.kinds import REQUIRED, Key, ListOf, Table
from launcher.spec.language import BLUEPRINT

PAGE = Path(__file__).parents[2] / "docs" / "blueprint.md"

_HEAD = """\
# The blueprint, key by key

Every table and key that a blueprint may hold, as `evalctl validate` reads it; anything else is an error.
`evalctl schema blueprint` prints the same as a JSON Schema. Sizes are text such as `"4GiB"` or whole bytes,
durations text such as `"1h30m"`. A key without a default may be left out and then says nothing.
"""


def blueprint_reference() -> str:
    """Return `docs/blueprint.md`."""
    tables = [("the top of the file", BLUEPRINT), *_tables_below(BLUEPRINT, ())]
    seen = {id(table): table for _, table in tables}
    sections = [
        _section([header for header, other in tables if other is table], table) for table in seen.values()
    ]
    return "\n".join([_HEAD, *sections])


def _tables_below(table: Table, path: tuple[str, ...]) -> Iterator[tuple[str, Table]]:
    """Yield every table below `table` with its header; a table used twice comes twice."""
    for key in table.keys:
        below = (*path, key.name)
        if isinstance(key.kind, Table):
            yield f"`[{'.'.join(below)}]`", key.kind
            yield from _tables_below(key.kind, below)
        elif isinstance(key.kind, ListOf) and isinstance(key.kind.item, Table):
            yield f"`[[{'.'.join(below)}]]`", key.kind.item
            yield from _tables_below(key.kind.item, below)


def _section(headers: list[str], table: Table) -> str:
    title = ", ".join(headers)
    lines = [
        f"## {title[0].upper()}{title[1:]}\n\n{table.text}{_choice(table)}\n",
        "| key | must be | default | meaning |\n|---|---|---|---|",
        *(_row(key) for key in table.keys),
        "",
    ]
    return "\n".join(lines)


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


if __name__ == "__main__":
    PAGE.write_text(blueprint_reference(), encoding="utf-8")
