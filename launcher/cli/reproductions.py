"""What this machine's policy counts of a bundle's reproductions, for commands that verify nothing else."""

from datetime import UTC, datetime
from pathlib import Path

from launcher.cli.signing import read_verifying_policy
from launcher.errors import EvalctlError
from launcher.report.attached import count_reproductions
from launcher.report.reproduced import reproduced_text
from launcher.store.home import Home
from launcher.trust.policy import Policy, empty_policy
from launcher.trust.tally import Tally

_UNSOUND = "attestations that do not stand: see `evalctl verify`"


def read_own_policy(home: Home) -> Policy:
    """Return this home's policy; where it has none that can be read, nobody is trusted."""
    try:
        return read_verifying_policy(home, None, None)
    except EvalctlError:
        return empty_policy()


def counted_here(path: Path, policy: Policy) -> tuple[Tally | None, str]:
    """Return what `policy` counts, and that in words; nothing where nobody attached a reproduction."""
    try:
        found = count_reproductions(path, policy, datetime.now(UTC))
    except EvalctlError:
        return None, _UNSOUND
    return found, "" if found is None else reproduced_text(found)
