"""The Markdown report: the page's facts, and nothing of a stranger that Markdown acts on."""

from collections.abc import Callable

import html5lib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from msgspec.structs import replace

from launcher.report.answers import Answers
from launcher.report.markdown import code, markdown, words
from launcher.report.record import Record
from tests.report.conftest import STORIES

ReadRecord = Callable[[str], Record]
RENDERER = MarkdownIt("commonmark", {"html": True}).enable("table")
every_story = pytest.mark.parametrize("name", [*STORIES, "stranger"])
HARMLESS = {
    *("html", "head", "body", "h1", "h2", "p", "strong", "code", "pre", "ul", "li", "blockquote"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}


def tags_of(text: str) -> set[str]:
    tree = html5lib.parse(RENDERER.render(text), namespaceHTMLElements=False)
    return {element.tag for element in tree.iter()}


@every_story
def test_nothing_but_headings_tables_lists_and_code_comes_of_it(record: ReadRecord, name: str) -> None:
    assert tags_of(markdown(record(name))) <= HARMLESS


@every_story
def test_what_could_call_somebody_stands_in_code_alone(record: ReadRecord, name: str) -> None:
    tree = html5lib.parse(RENDERER.render(markdown(record(name))), namespaceHTMLElements=False)
    for element in tree.iter():
        if element.tag not in ("code", "pre"):
            assert "@e" not in (element.text or "")
        assert "@e" not in (element.tail or "")


@every_story
def test_the_same_record_gives_the_same_markdown(record: ReadRecord, name: str) -> None:
    assert markdown(record(name)) == markdown(record(name))


def test_a_result_without_metrics_and_items_is_said_to_have_none(record: ReadRecord) -> None:
    whole = record("several_seeds")
    text = markdown(
        replace(
            whole, result=replace(whole.result, metrics=()), answers=Answers(0, independent=True, listed=())
        )
    )
    assert "## Result\n\nNone.\n" in text


@given(st.text(alphabet=st.sampled_from("`|\\ <>ab@*_[]()!#\n\r\t\u202e\x00-"), max_size=40))
def test_any_text_is_one_code_span_of_one_cell(text: str) -> None:
    from launcher.report.markdown import _table

    rendered = RENDERER.render("\n".join(_table([("a", "b"), (code(text), "end")])))
    tree = html5lib.parse(rendered, namespaceHTMLElements=False)
    cells = list(tree.iter("td"))
    assert [cell.text for cell in cells[1:]] == ["end"]
    assert {element.tag for element in cells[0].iter()} <= {"td", "code"}
    assert code(text) == "(empty)" or list(cells[0].iter("code"))


@given(st.text(alphabet=st.sampled_from("`\\ <>ab@*_[]()!#&;-"), max_size=40))
def test_our_own_words_are_read_as_they_are_written(text: str) -> None:
    tree = html5lib.parse(RENDERER.render(f"x{words(text)}x"), namespaceHTMLElements=False)
    assert tags_of(f"x{words(text)}x") <= {"html", "head", "body", "p"}
    assert "".join(tree.itertext()).strip() == f"x{text}x"
