"""Add up what those found who launched a bundle's lock again: how many keys, on how many machine kinds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from launcher.spec.machine_kind import stated_kind
from launcher.spec.reproduction import ReproductionVerdict
from launcher.trust.checks import Check
from launcher.trust.reproductions import CountedReproduction

CONFIRMING: Final[frozenset[ReproductionVerdict]] = frozenset({"identical", "equivalent"})
_OTHERS: Final[tuple[ReproductionVerdict, ...]] = ("diverged", "inconclusive", "not-runnable")


class Tally(Struct, frozen=True):
    """What other keys than the one that made the bundle found, and what that one found itself.

    `keys` and `kinds` are counts over those who got the result again; `kind_not_stated` of their runs name no
    machine. `others` has, for each other verdict that somebody came to, the number of keys. `own` are
    the verdicts of the key that made the bundle, which count for nothing; `not_counted` is the number of
    statements that the policy does not count.
    """

    keys: int = 0
    kinds: int = 0
    kind_not_stated: int = 0
    others: Mapping[ReproductionVerdict, int] = {}
    own: tuple[ReproductionVerdict, ...] = ()
    not_counted: int = 0

    def as_json(self) -> dict[str, object]:
        """Return the counts; `diverged` is there whether or not somebody came to it."""
        return {
            "keys": self.keys,
            "machine_kinds": self.kinds,
            "kind_not_stated": self.kind_not_stated,
            "diverged": 0,
            **{name.replace("-", "_"): count for name, count in self.others.items()},
            "same_key": list(self.own),
            "not_counted": self.not_counted,
        }


def tally(counted: Sequence[CountedReproduction], checks: Iterable[Check] = ()) -> Tally:
    """Add up the reproductions that a policy counts; `checks` tell which statements it does not."""
    independent = [item for item in counted if item.independent]
    runs = _runs(item for item in independent if item.statement.verdict in CONFIRMING)
    kinds = [stated_kind(item.statement.environment) for item in runs]
    others = {
        verdict: {item.signer for item in independent if item.statement.verdict == verdict}
        for verdict in _OTHERS
    }
    own = {item.statement.verdict for item in counted if not item.independent}
    return Tally(
        keys=len({item.signer for item in runs}),
        kinds=len({*kinds} - {()}),
        kind_not_stated=kinds.count(()),
        others={verdict: len(keys) for verdict, keys in others.items() if keys},
        own=tuple(sorted(own)),
        not_counted=sum(1 for check in checks if _is_passed_over(check)),
    )


def _runs(confirming: Iterable[CountedReproduction]) -> list[CountedReproduction]:
    """Return one statement for each run: whoever signs what another ran has not run it again."""
    return list({item.statement.reproduced: item for item in confirming}.values())


def _is_passed_over(check: Check) -> bool:
    return check.name.startswith("reproduction-") and check.status == "skipped"
