"""`evalctl list`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from launcher.cli.connect import connect
from launcher.cli.options import Json
from launcher.cli.output import print_json, say
from launcher.cli.places import explained, number_text, read_places
from launcher.report.text import WIDTH, cut_middle, table, wrapped
from launcher.runs.leftovers import reap_left_overs
from launcher.spec.redaction import Redaction
from launcher.store.attested import has_reproductions
from launcher.store.home import Home, find_home
from launcher.store.naming import attempts_in
from launcher.store.redactions import redactions_in

if TYPE_CHECKING:
    from launcher.trust.tally import Tally

_KEYS = (
    *("lock", "attempt", "name", "began", "outcome", "failure", "verdict", "marks", "bundle", "origin"),
    "redaction",
)
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
    found = [(each.state, each.alive) for each in attempts_in(home)]
    # A redacted bundle counts as the one that it was made of.
    counted = {state.get("bundle"): state.get("counted") for state, _ in found}
    redacted = redactions_in(home)
    found += [({**it, "counted": counted.get(it["redaction"]["original"])}, False) for it in redacted]
    found.sort(key=lambda each: str(each[0].get("began") or ""))
    places = read_places(home, [state for state, _ in found])
    attempts = [
        {**{key: state.get(key) for key in _KEYS}, "running": alive, **place}
        for (state, alive), place in zip(found, places, strict=True)
    ]
    reproduced = _reproduced(home, attempts)
    if as_json:
        for attempt in attempts:
            tally, _ = reproduced.get(str(attempt["bundle"]), (None, ""))
            attempt["reproduced"] = tally.as_json() if tally else None
        print_json({"attempts": attempts})
        return 0
    if attempts:
        print("\n".join((*_shown(attempts), *_redactions(attempts), *explained(attempts))))
        for digest, (_, words) in reproduced.items():
            print("\n".join(wrapped(f"{digest.removeprefix('sha256:')[:_DIGITS]}: {words}", indent=2)))
    else:
        say("nothing was launched from this home yet")
    return 0


def _reproduced(home: Home, attempts: Iterable[Mapping[str, Any]]) -> "dict[str, tuple[Tally | None, str]]":
    """Return what this machine's policy counts of the reproductions of each bundle that has any."""
    places = {str(attempt["bundle"]): home.bundle(str(attempt["bundle"])) for attempt in attempts}
    some = {digest: place for digest, place in places.items() if has_reproductions(place)}
    if not some:
        return {}
    from launcher.cli.reproductions import counted_here, read_own_policy

    policy = read_own_policy(home)
    return {digest: counted_here(place, policy) for digest, place in some.items()}


def _shown(attempts: list[dict[str, Any]]) -> list[str]:
    """Return the table; where it is too wide, names are cut: what is left of a digest must do to be typed."""
    rows = [_HEADER, *map(_row, attempts)]
    columns = [column for column in zip(*rows, strict=True) if {*column[1:]} != {"-"}][:-1]
    taken = sum(max(map(len, column)) + 2 for column in columns)
    digits = _DIGITS if taken + _SHORTEST_NAME <= WIDTH else _FEWEST_DIGITS
    room = max(_SHORTEST_NAME, WIDTH - taken + _DIGITS - digits)
    return table([(row[0][:digits], *row[1:-1], cut_middle(row[-1], room)) for row in rows])


def _redactions(attempts: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what is withheld in each redacted bundle."""
    for attempt in attempts:
        if attempt["redaction"]:
            said = Redaction.from_json(attempt["redaction"]).said
            digest = str(attempt["bundle"]).removeprefix("sha256:")[:_DIGITS]
            yield from wrapped(f"{digest}: {said}", indent=2)


def _row(attempt: Mapping[str, Any]) -> tuple[str, ...]:
    bundle = str(attempt["bundle"] or "none").removeprefix("sha256:")[:_DIGITS]
    began = str(attempt["began"])[:16].replace("T", " ") if attempt["began"] else "-"
    outcome = "running" if attempt["running"] else str(attempt["failure"] or attempt["outcome"])
    if attempt["origin"] and outcome == "succeeded":
        outcome = f"imported, {attempt['origin']} origin"
    outcome = ", ".join([outcome, *(attempt["marks"] or ()), *(["redacted"] if attempt["redaction"] else [])])
    verdict = "-" if attempt["verdict"] in (None, "none") else str(attempt["verdict"])
    return bundle, began, outcome, verdict, number_text(attempt), str(attempt["name"] or "-")
