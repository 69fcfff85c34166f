"""What verification in a small world says of a bundle, and what a hostile hand does to one."""

from collections.abc import Callable
from pathlib import Path

from tests.fakes.world import SmallWorld

Forge = Callable[[Path], None]


def refusal(shared: SmallWorld, bundle: Path) -> str:
    """Return why a bundle fails, whoever signed it."""
    verification = shared.verify(bundle)
    assert verification.verdict == "failed", verification.checks
    return "; ".join(check.detail for check in verification.checks if check.status == "failed")


def verdict(shared: SmallWorld, bundle: Path) -> str:
    return shared.verify(bundle).verdict
