"""What the guides and the blueprints' own pages show of a terminal is what the commands print."""

from pathlib import Path

import pytest

from tests.cli.documents import check, exchanges
from tests.cli.transcripts import CHECKOUT

PAGES = [
    page
    for page in sorted([*CHECKOUT.glob("docs/*.md"), *CHECKOUT.glob("blueprints/*/README.md")])
    if exchanges(page.read_text())
]


@pytest.mark.engine
@pytest.mark.image
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_line_that_a_page_shows_comes_in_its_order(page: Path, tmp_path: Path) -> None:
    if not (CHECKOUT / "images" / "eval-python" / "layout" / "index.json").is_file():
        pytest.skip("images/eval-python is not built: make setup")
    check(exchanges(page.read_text()), tmp_path)


def test_a_page_that_shows_a_line_that_does_not_come_is_noticed(tmp_path: Path) -> None:
    page = "```\n$ evalctl --version\nevalctl 99.0.0\n```\n"
    with pytest.raises(AssertionError, match=r"evalctl 99\.0\.0"):
        check(exchanges(page), tmp_path)
