"""`evalctl list`."""

from collections.abc import Mapping
from typing import Any

from launcher.cli.connect import connect
from launcher.cli.options import Json
from launcher.cli.output import print_json, say
from launcher.report.text import WIDTH, cut_middle, table
from launcher.runs.leftovers import reap_left_overs
from launcher.store.home import find_home
from launcher.store.naming import attempts_in

_KEYS = ("lock", "attempt", "name", "began", "outcome", "failure", "verdict", "marks", "bundle", "origin")
_HEADER = ("bundle", "began (UTC)", "outcome", "verdict", "attempt", "name")
_DIGITS, _FEWEST_DIGITS, _SHORTEST_NAME = 12, 8, 8


def list_bundles(
    as_json: Json = False,
) -> int:
    """List the attempts and bundles of this home.

    The latest comes last. Left-overs of launches that died are removed first.
    """
    home = find_home()
    reap_left_overs(home, connect, say)
    found = sorted(attempts_in(home), key=lambda each: str(each.state.get("began") or ""))
    attempts = [{**{key: each.state.get(key) for key in _KEYS}, "running": each.alive} for each in found]
    if as_json:
        print_json({"attempts": attempts})
        return 0
    if attempts:
        print("\n".join(_shown(attempts)))
    else:
        say("nothing was launched from this home yet")
    return 0


def _shown(attempts: list[dict[str, Any]]) -> list[str]:
    """Return the table; where it is too wide, names are cut: what is left of a digest must do to be typed."""
    rows = [_HEADER, *map(_row, attempts)]
    columns = [column for column in zip(*rows, strict=True) if {*column[1:]} != {"-"}][:-1]
    taken = sum(max(map(len, column)) + 2 for column in columns)
    digits = _DIGITS if taken + _SHORTEST_NAME <= WIDTH else _FEWEST_DIGITS
    room = max(_SHORTEST_NAME, WIDTH - taken + _DIGITS - digits)
    return table([(row[0][:digits], *row[1:-1], cut_middle(row[-1], room)) for row in rows])


def _row(attempt: Mapping[str, Any]) -> tuple[str, ...]:
    bundle = str(attempt["bundle"] or "none").removeprefix("sha256:")[:_DIGITS]
    began = str(attempt["began"])[:16].replace("T", " ") if attempt["began"] else "-"
    outcome = "running" if attempt["running"] else str(attempt["failure"] or attempt["outcome"])
    if attempt["origin"] and outcome == "succeeded":
        outcome = f"imported, {attempt['origin']} origin"
    outcome = ", ".join([outcome, *(attempt["marks"] or ())])
    verdict = "-" if attempt["verdict"] in (None, "none") else str(attempt["verdict"])
    number = "-" if attempt["origin"] else str(attempt["attempt"])
    return bundle, began, outcome, verdict, number, str(attempt["name"] or "-")
