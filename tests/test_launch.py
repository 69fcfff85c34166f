import json
from pathlib import Path

from tests.fakes.world import ITEMS, WRONG, SmallWorld


def result_of(bundle: Path) -> dict:
    return json.loads((bundle / "result.json").read_text())


def test_a_launch_ends_with_a_signed_bundle_that_verifies(world: SmallWorld) -> None:
    launched = world.launch()
    verification = world.verify(launched.bundle)
    assert (verification.verdict, verification.signers) == ("verified", (world.signer.public.fingerprint,))
    result = result_of(launched.bundle)
    assert (result["status"], result["failure"], result["attempt"]) == ("succeeded", None, 1)
    assert result["metrics"][0]["value"] == (ITEMS - WRONG) / ITEMS
    assert result["lock"] == launched.lock
