"""Write the files of a redacted bundle, all but its listing and attestations, as a stream."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from launcher.canonical import canonical_bytes
from launcher.digest import sha256_hex
from launcher.redact.source import Source
from launcher.spec import bundle
from launcher.spec.commitments import Entry
from launcher.spec.disclosure import Choice, disclosed, event_line, is_whole, left_of, result_json
from launcher.spec.openings import HEADER, opening_line
from launcher.spec.redaction import FOLDERS, Redaction, in_order, is_withheld_file, redacted_files
from launcher.store.directory import Inventory
from launcher.store.files import write_new, write_pieces


class _GivenOut:
    """What is given out: written line by line; of the parts of the result, and of steps, also kept."""

    def __init__(self, openings: Iterable[Entry], choice: Choice) -> None:
        self._openings, self._choice = openings, choice
        self.parts: dict[str, Any] = {}
        self.events: list[bytes] = []
        self.whole = 0

    def lines(self) -> Iterator[bytes]:
        """Yield openings.jsonl."""
        yield HEADER
        for opening in disclosed(self._openings, self._choice):
            self._keep(opening)
            yield opening_line(opening)

    def _keep(self, opening: Entry) -> None:
        if opening.kind == "result":
            self.parts[opening.name] = opening.cells[""][1]
        elif opening.kind == "event":
            self.events.append(event_line(opening.cells[""][1]))
        elif is_whole(opening):
            self.whole += 1


def write_files(inventory: Inventory, staging: Path, source: Source, choice: Choice) -> Redaction:
    """Write what is left of the bundle in `inventory` to `staging`; return what is withheld."""
    before = source.redaction
    listing = inventory.read(
        bundle.SUMS if before is None else bundle.ORIGINAL_SUMS, bundle.MAX_LISTING_BYTES
    )
    withheld = in_order([*_there(choice.withheld, listing), *(before.withheld if before else ())])
    choice = replace(choice, withheld=frozenset(withheld))
    given = _GivenOut(source.openings(inventory), choice)
    write_pieces(staging / bundle.OPENINGS, given.lines())
    write_pieces(staging / bundle.SAMPLES, (left.line() for left in left_of(source.samples(), choice)))
    digest = f"sha256:{sha256_hex(listing)}"
    redaction = Redaction(digest, withheld, given.whole, redacted_files(withheld, given.whole))
    made = {
        bundle.RESULT: canonical_bytes(result_json(given.parts, redaction)) + b"\n",
        bundle.ORIGINAL_SUMS: listing,
    }
    if "event-details" in withheld:
        made[bundle.EVENTS] = b"".join(given.events)
    for name, data in made.items():
        write_new(staging / name, data)
    _copy_rest(inventory, staging, withheld)
    return redaction


def _there(withheld: Iterable[str], listing: bytes) -> Iterator[str]:
    """Yield what is to be withheld but for folders that the original, of this listing, never had."""
    paths = bundle.read_sums(listing)
    for word in withheld:
        if word not in FOLDERS or any(is_withheld_file(path, [word]) for path in paths):
            yield word


def _copy_rest(inventory: Inventory, staging: Path, withheld: tuple[str, ...]) -> None:
    """Copy every file that stays as it is."""
    for name in inventory.files:
        own = name == bundle.SUMS or name.startswith(f"{bundle.ATTESTATIONS}/")
        place = staging / name
        if not own and not place.exists() and not is_withheld_file(name, withheld):
            place.parent.mkdir(parents=True, exist_ok=True)
            write_pieces(place, inventory.chunks(name))
