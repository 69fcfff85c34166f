"""Whether those who have not signed yet can still give a rule the signatures that it asks for."""

import re
from datetime import datetime
from typing import Final

from launcher.trust.checks import Check
from launcher.trust.policy import Policy
from launcher.verify import Verification

# The words of a decision that counted too few signatures.
_ASKS: Final = re.compile(r"the rule for `(\w+)` asks for (\d+), (\d+) counted")


def may_be_met(check: Check, verification: Verification, policy: Policy, now: datetime) -> bool:
    """Say whether enough other keys of the rule that `check` failed under could sign today."""
    asked = _ASKS.search(check.detail)
    role = next((role for role in policy.rules if asked and role == asked[1]), None)
    if asked is None or role is None:
        return False
    signed = _signers(check.name.removeprefix("trust:"), verification)
    others = [name for name in policy.able(role, now) if policy.keys[name].public.fingerprint not in signed]
    return len(others) >= int(asked[2]) - int(asked[3])


def _signers(statement: str, verification: Verification) -> frozenset[str]:
    """Return the fingerprints whose signatures over a statement hold: its own file's and co-signatures'."""
    names = re.compile(rf"signature:{re.escape(statement)}(?:\.[0-9a-f]{{64}})?")
    return frozenset(
        check.detail.split(" ", 1)[0]
        for check in verification.checks
        if check.status == "ok" and names.fullmatch(check.name)
    )
