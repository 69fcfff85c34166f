"""What the guide to trust policies shows of a terminal is what the commands print; it needs no engine."""

from pathlib import Path

from tests.cli.documents import check, exchanges
from tests.cli.transcripts import CHECKOUT


def test_every_line_that_the_guide_to_trust_shows_comes_in_its_order(tmp_path: Path) -> None:
    shown = exchanges((CHECKOUT / "docs" / "trust.md").read_text())
    assert len(shown) > 20
    check(shown, tmp_path)
