"""Say who got a bundle's result again, in the words that every view uses."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from launcher.report.text import cut
from launcher.spec.machine_kind import kind_in_words

if TYPE_CHECKING:
    from launcher.trust.reproductions import CountedReproduction
    from launcher.trust.tally import Tally

_LONGEST_KIND = 240


def reproduced_text(found: "Tally") -> str:
    """Return one line such as `reproduced by 2 keys on 1 machine kind; diverged for 1 key`."""
    return "; ".join(_parts(found)) or "not reproduced"


def is_told(found: "Tally") -> bool:
    """Say whether anybody stated anything."""
    return bool(found.keys or found.others or found.own or found.not_counted)


def _parts(found: "Tally") -> Iterator[str]:
    if found.keys:
        yield f"reproduced by {counted(found.keys, 'key')}{_kinds(found)}"
    for verdict, keys in found.others.items():
        yield f"{verdict} for {counted(keys, 'key')}"
    if found.own:
        yield f"{', '.join(found.own)} by the same key: does not count"
    if found.not_counted:
        yield f"{counted(found.not_counted, 'statement')} of reproductions not counted"


def _kinds(found: "Tally") -> str:
    stated = f" on {counted(found.kinds, 'machine kind')}" if found.kinds else ""
    unstated = f"{counted(found.kind_not_stated, 'run')} on a machine that is not stated"
    return stated + (f" ({unstated})" if found.kind_not_stated else "")


def who_reproduced(counted_ones: "Sequence[CountedReproduction]") -> Iterator[str]:
    """Yield a line for each counted statement: whose it is, the verdict, and the kind of machine."""
    for item in counted_ones:
        who = item.name or item.signer
        kind = kind_in_words(item.statement.environment) or "a machine that is not stated"
        same = "" if item.independent else " (the same key)"
        yield f"{who}{same}: {item.statement.verdict}, on {cut(kind, _LONGEST_KIND)}"


def counted(number: int, thing: str) -> str:
    """Return `1 key`, `2 keys`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
