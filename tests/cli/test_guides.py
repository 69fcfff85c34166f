"""What the guides and the blueprints' own pages show of a terminal is what the commands print."""

import re
from pathlib import Path

import pytest

from tests.cli.documents import check, exchanges
from tests.cli.transcripts import CHECKOUT

TYPED_ELSEWHERE = {
    "first-evaluation.md",  # tests/cli/test_first_evaluation.py
    "lm-eval-local",  # tests/harness/test_real_harnesses.py
    "inspect-local",
    "torch-compile",  # tests/harness/test_torch_compile.py
    "trust.md",  # tests/trust/test_trust_guide.py
}
PAGES = [
    page
    for page in sorted([*CHECKOUT.glob("docs/*.md"), *CHECKOUT.glob("blueprints/*/README.md")])
    if TYPED_ELSEWHERE.isdisjoint({page.name, page.parent.name}) and exchanges(page.read_text())
]

DOCUMENTS = sorted(
    [*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md"), *CHECKOUT.glob("blueprints/*/README.md")]
)


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


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_link_of_a_document_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there.read_text()), target


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_test_that_a_document_names_is_there(page: Path) -> None:
    named = set(re.findall(r"`(test_\w+)`", page.read_text())) - {"test_nist"}  # SciPy's, not ours
    sources = "".join(path.read_text() for path in (CHECKOUT / "tests").rglob("test_*.py"))
    assert {name for name in named if f"def {name}(" not in sources} == set()


def anchors(text: str) -> set[str]:
    """Return what a forge makes of the headings: lower case, hyphens for spaces, no other punctuation."""
    headings = re.findall(r"(?m)^#+ (.*)$", text)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
