"""What lists of attempts say of their places in this home's ledger."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launcher.cli.output import say
from launcher.errors import EvalctlError
from launcher.ledger.view import LedgerPlace, ledger_place, place_in, places_in
from launcher.report.text import wrapped
from launcher.store.home import Home

if TYPE_CHECKING:
    from launcher.trust.policy import Policy
    from launcher.verify import Verification


def read_places(home: Home, states: Sequence[Mapping[str, Any]]) -> list[dict[str, int | None]]:
    """Return `position`, `of` and `others` of each attempt by its journal; a damaged ledger is said."""
    journals = [state.get("counted") for state in states]
    try:
        return places_in(home, journals)
    except EvalctlError as error:
        say(f"note: how many attempts count together cannot be told: {error.in_words}")
        return places_in(home, [None for _ in journals])


def number_text(attempt: Mapping[str, Any]) -> str:
    """Return `3 of 5` for a cell of a table, `+4` behind it for other keys; else the lock's number."""
    if attempt["of"] is not None:
        others = f" +{attempt['others']}" if attempt["others"] else ""
        return f"{attempt['position']} of {attempt['of']}{others}"
    return "-" if attempt.get("origin") or not attempt.get("attempt") else f"{attempt['attempt']} at lock"


def explained(attempts: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what `+4` means, where that stands in a table."""
    if any(attempt["others"] for attempt in attempts):
        said = "+ so many attempts at the same by other keys, which count apart: `evalctl ledger show`"
        yield from wrapped(said, indent=2)


def place_here(home: Home, bundle: Path) -> LedgerPlace | None:
    """Return the place of a bundle that this home made; its own policy says which witnesses are known."""

    def policy() -> "Policy":
        from launcher.cli.reproductions import read_own_policy

        return read_own_policy(home)

    return ledger_place(home, bundle, policy)


def place_verified(
    home: Home, bundle: Path, verification: "Verification", policy: "Policy"
) -> LedgerPlace | None:
    """Return the place that the proof shows which verification held; what a stranger claims, as claimed.

    The bundle is opened again only where verification did not read its proof.
    """
    if verification.ledger is None:
        stranger = verification.verdict == "untrusted"
        return ledger_place(home, bundle, lambda: policy) if stranger else None
    try:
        return place_in(home, verification.ledger, lambda: policy)
    except EvalctlError:
        return None
