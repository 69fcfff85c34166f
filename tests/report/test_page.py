"""The HTML report: valid, inert, self-contained, the same bytes each time, whatever a bundle says."""

import re
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from launcher.metrics.confusion import confusion
from launcher.report.answers import Answers
from launcher.report.page import html_page, is_link
from launcher.report.reading import read_confusion
from launcher.report.record import Fact, Record
from launcher.spec.sample import Sample
from tests.report.conftest import STORIES
from tests.report.pages import elements, faults, inline_hashes, policy_of, strict
from tests.report.stories import HOSTILE, HOSTILE_LINK

ReadRecord = Callable[[str], Record]
QUOTES = '"' * 5000
every_story = pytest.mark.parametrize("name", [*STORIES, "stranger"])


@every_story
def test_a_page_is_valid_html_that_loads_and_runs_nothing(record: ReadRecord, name: str) -> None:
    assert faults(html_page(record(name))) == []


@pytest.mark.parametrize(
    "bad",
    [
        '<img src="x">',
        '<p style="x">',
        '<p onclick="x">',
        '<a href="javascript:x">x</a>',
        '<p id="result">',
        '<a href="#nowhere">x</a>',
        "<link rel=stylesheet href=x>",
    ],
)
def test_the_check_of_pages_sees_what_may_not_be_there(record: ReadRecord, bad: str) -> None:
    page = html_page(record("several_seeds"))
    assert faults(page.replace("<footer>", f"<footer>{bad}", 1))


@every_story
def test_the_policy_allows_exactly_the_inline_style_and_script(record: ReadRecord, name: str) -> None:
    page = html_page(record(name))
    assert policy_of(page) == {
        "default-src": "'none'",
        "style-src": " ".join(inline_hashes(page, "style")),
        "script-src": " ".join(inline_hashes(page, "script")),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert len(inline_hashes(page, "style")) == len(inline_hashes(page, "script")) == 1


@every_story
def test_the_same_record_gives_the_same_page(record: ReadRecord, name: str) -> None:
    assert html_page(record(name)) == html_page(record(name))


def test_hostile_words_are_shown_and_change_no_structure(record: ReadRecord) -> None:
    page = html_page(record("hostile"))
    text = "".join(strict(page).itertext())
    assert "</script></style><img src=x onerror=alert(1)>\\u202egood\\u2066\\x1b[2J\\x00`|@everyone" in text
    assert "{{ 7 * 7 }} {% raw %}" in text
    assert HOSTILE_LINK in text
    assert [tag for tag, _ in elements(strict(page))].count("script") == 1


@every_story
def test_no_character_of_a_page_is_invisible_or_reorders_text(record: ReadRecord, name: str) -> None:
    odd = {letter for letter in html_page(record(name)) if unicodedata.category(letter) in ("Cc", "Cf", "Co")}
    assert odd <= {"\n"}


def test_every_word_of_a_stranger_is_escaped_wherever_it_stands(record: ReadRecord) -> None:
    """Put the hostile text into every field that holds text, also those that a verified bundle restricts."""
    page = html_page(_poisoned(record("hostile")))
    assert not set(faults(page)) - {"svg[id]"}
    tags = [tag for tag, _ in elements(strict(page))]
    assert (tags.count("script"), tags.count("style")) == (1, 1)


def _poisoned(value: Any) -> Any:
    """Return `value` with every free text in it replaced, structs and tables included."""
    if isinstance(value, str):
        kept = re.fullmatch(r"[a-z-]+|ci-lower|ci-upper|[a-z0-9]+@1|scores\..*|trust:.*", value)
        return value if kept else HOSTILE
    if isinstance(value, tuple | list):
        return type(value)(map(_poisoned, value))
    if isinstance(value, dict):
        return {key: _poisoned(item) for key, item in value.items()}
    if hasattr(value, "__struct_fields__"):
        changes = {name: _poisoned(getattr(value, name)) for name in value.__struct_fields__}
        return replace(value, **changes)
    return value


def test_a_bundle_that_nobody_trusts_is_reported_as_such(record: ReadRecord) -> None:
    page = html_page(record("stranger"))
    text = " ".join("".join(strict(page).itertext()).split())
    assert "Not verified. This bundle is signed by SHA256:" in text
    assert "Thresholds, as claimed" in text
    states = {a["class"] for tag, a in elements(strict(page)) if "head" in a.get("class", "").split()}
    assert states == {"head plain", "head warn"}


def test_a_failed_run_says_why_and_shows_its_last_words(record: ReadRecord) -> None:
    page = html_page(record("failed"))
    text = "".join(strict(page).itertext())
    assert "There is no score." in text
    assert "the evaluated program failed (candidate)" in text
    assert "ValueError: \\x1b[31mno </pre><script>alert(1)</script> model\\x1b[0m" in text
    assert not [a for tag, a in elements(strict(page)) if a.get("class") == "metrics"]


def test_the_drawings_say_in_words_what_they_show(record: ReadRecord) -> None:
    page = html_page(record("several_seeds"))
    drawings = [
        svg for svg in strict(page).iter() if str(svg.tag).endswith("svg") and svg.get("role") == "img"
    ]
    assert len(drawings) == 3
    for drawing in drawings:
        names = [str(child.tag).rpartition("}")[2] for child in drawing][:2]
        assert names == ["title", "desc"]
    assert (
        "accuracy: 0.8417, interval 0.6996 to 0.9239, n 40; missed: the interval's lower end"
        in page.replace("&#39;", "'")
    )


def test_a_page_stays_small_however_much_went_wrong(record: ReadRecord) -> None:
    whole = record("hostile")
    samples = [
        Sample(
            id=QUOTES[:900] + str(number),
            task=QUOTES[:900],
            target=f"{number % 50}",
            prediction=QUOTES,
            error="\x00" * 5000,
            groups={QUOTES[:100] + str(group): QUOTES[:900] for group in range(9)},
            replicate=replicate,
            seed=0,
        )
        for number in range(1000)
        for replicate in range(5)
    ]
    facts = tuple(Fact(QUOTES, QUOTES, QUOTES) for _ in range(2000))
    metrics = tuple(replace(whole.result.metrics[0], name=f"m{number}") for number in range(2000))
    around = replace(whole.around, facts=facts, note="\x00" * 10**6, usage=whole.around.usage * 5000)
    result = replace(whole.result, metrics=metrics, deviations=(QUOTES,) * 5000)
    page = html_page(
        replace(
            whole,
            answers=Answers(len(samples), independent=False, listed=samples),
            around=around,
            result=result,
        )
    )
    assert len(page.encode()) <= 2_000_000
    assert "The first 200 of 2000; all are in result.json." in page


def test_many_labels_make_a_table_that_still_parses(record: ReadRecord) -> None:
    whole = record("several_seeds")
    samples = [Sample(id=str(n), target=f"label {n % 50}", prediction=f"label {n % 49}") for n in range(500)]
    result = replace(whole.result, tables={"confusion": confusion(samples)})
    around = replace(whole.around, confusion=read_confusion(result))
    assert faults(html_page(replace(whole, result=result, around=around))) == []


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE_LINK,
        "http://example.org/",
        "https://example.org/\u202e",
        "https://user@example.org/",
        "https://exämple.org/",
        'https://example.org/"onclick="x',
        "https://example.org/ x",
        "https://EXAMPLE.org/",
        "data:text/html,x",
        "//example.org/",
        "https://example.org/" + "a" * 1000,
        "",
    ],
)
def test_only_a_plain_https_address_becomes_a_link(text: str) -> None:
    assert not is_link(text)
    assert is_link("https://example.org/a_b/c.html?x=1&y=2#z")
