"""`evalctl status`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import to_builtins

from launcher.cli.connect import connect
from launcher.cli.options import Json
from launcher.cli.output import print_json, say
from launcher.cli.places import explained, number_text, read_places
from launcher.report.text import WIDTH, cut_middle, table
from launcher.runs.leftovers import reap_left_overs
from launcher.runs.standing import standings
from launcher.store.home import find_home
from launcher.store.naming import attempts_in

_HEADER = ("id", "attempt", "state", "ended", "samples", "elapsed", "engine", "name")
_DIGITS, _SHORTEST_NAME = 8, 8


def status(
    as_json: Json = False,
) -> int:
    """Show what runs in this home, and what never ended.

    Each attempt with its place among those that count together, its step, the replicates that have ended,
    the samples so far (which the container claims), the engine and its runtime. Left-overs of launches that
    died are removed first.
    """
    home = find_home()
    reap_left_overs(home, connect, say)
    found = list(attempts_in(home))
    rows = standings(found, datetime.now(UTC))
    counted = {str(each.state.get("invocation_id") or ""): each.state for each in found}
    places = read_places(home, [counted[row.id] for row in rows])
    attempts = [{**to_builtins(row), **place} for row, place in zip(rows, places, strict=True)]
    if as_json:
        print_json({"attempts": attempts})
    elif rows:
        print("\n".join((*_shown(attempts), *explained(attempts))))
    else:
        say("nothing runs, and nothing was cut off; what ended is in `evalctl list`")
    return 0


def _shown(attempts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the table; where it is too wide, names are cut."""
    rows = [_HEADER, *map(_row, attempts)]
    taken = sum(max(map(len, column)) + 2 for column in [*zip(*rows, strict=True)][:-1])
    return table([(*row[:-1], cut_middle(row[-1], max(_SHORTEST_NAME, WIDTH - taken))) for row in rows])


def _row(attempt: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what fits into a line; lock and versions are in the object of `--json`."""
    engine = "/".join(part for part in (attempt["engine"].partition(" ")[0], attempt["runtime"]) if part)
    return (
        attempt["id"][:_DIGITS] or "-",
        number_text(attempt),
        (attempt["step"] if attempt["outcome"] == "running" else attempt["outcome"]) or "-",
        f"{attempt['done']}/{attempt['replicates']}",
        str(attempt["samples"]),
        "-" if attempt["elapsed"] is None else f"{attempt['elapsed']:.0f} s",
        engine or "-",
        attempt["name"] or "-",
    )
