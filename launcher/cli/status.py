"""`evalctl status`."""

from datetime import UTC, datetime

from msgspec import to_builtins

from launcher.cli.connect import connect
from launcher.cli.options import Json
from launcher.cli.output import print_json, say
from launcher.report.text import cut_middle, table
from launcher.runs.leftovers import reap_left_overs
from launcher.runs.standing import Standing, standings
from launcher.store.home import find_home
from launcher.store.naming import attempts_in

_HEADER = ("attempt", "state", "ended", "samples", "elapsed", "engine", "name")
_DIGITS, _NAME_WIDTH = 8, 22


def status(
    as_json: Json = False,
) -> int:
    """Show what runs in this home, and what never ended.

    Each attempt with its step, the replicates that have ended, the samples so far (which the container
    claims), the engine and its runtime. Left-overs of launches that died are removed first.
    """
    home = find_home()
    reap_left_overs(home, connect, say)
    rows = standings(attempts_in(home), datetime.now(UTC))
    if as_json:
        print_json({"attempts": to_builtins(rows)})
    elif rows:
        print("\n".join(table([_HEADER, *map(_row, rows)])))
    else:
        say("nothing runs, and nothing was cut off; what ended is in `evalctl list`")
    return 0


def _row(row: Standing) -> tuple[str, ...]:
    """Return what fits into a line; lock, number and versions are in the object of `--json`."""
    engine = "/".join(part for part in (row.engine.partition(" ")[0], row.runtime) if part)
    return (
        row.id[:_DIGITS] or "-",
        (row.step if row.outcome == "running" else row.outcome) or "-",
        f"{row.done}/{row.replicates}",
        str(row.samples),
        "-" if row.elapsed is None else f"{row.elapsed:.0f} s",
        engine or "-",
        cut_middle(row.name or "-", _NAME_WIDTH),
    )
