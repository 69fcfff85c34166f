from pathlib import Path

from launcher.spec.reference import blueprint_reference

COMMITTED = Path(__file__).parents[2] / "docs" / "blueprint.md"


def test_the_committed_field_reference_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == blueprint_reference()
