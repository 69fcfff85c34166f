"""Redaction: what is withheld is gone from every byte, and what is left still verifies."""

from pathlib import Path

from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld

REDACTABLE = {"tail": "[bundle]\nredactable = true\n"}


def launched(world: SmallWorld, **sections: str) -> Path:
    return world.launch(sections={**REDACTABLE, **sections}).bundle


def test_a_redactable_bundle_commits_to_every_part_and_verifies(world: SmallWorld) -> None:
    bundle = launched(world)
    verification = world.verify(bundle)
    assert verification.verdict == "verified", verification.checks
    (check,) = [check for check in verification.checks if check.name == "commitments"]
    assert "what they commit to is not checked" in check.detail


def test_a_redacted_bundle_verifies_and_says_what_is_withheld(
    world: SmallWorld, evalctl: Evalctl, tmp_path: Path
) -> None:
    bundle = launched(world)
    made = evalctl(
        "redact", bundle, "--withhold", "predictions,targets", "--samples", "item-03", "--out", tmp_path / "r"
    )
    print(made)
    assert made.code == 0, made
    checked = evalctl("verify", tmp_path / "r")
    print(checked.out, checked.err)
    assert checked.code == 0
    assert b"item-03" not in b"".join(p.read_bytes() for p in (tmp_path / "r").rglob("*") if p.is_file())
