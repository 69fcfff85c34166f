"""The HTML report in a real Chromium: nothing blocked, nothing overflowing, nothing that axe objects to."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from launcher.report.page import html_page
from launcher.report.record import Record
from tests.report.conftest import STORIES

pytestmark = pytest.mark.browser
ReadRecord = Callable[[str], Record]
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
every_story = pytest.mark.parametrize("name", [*STORIES, "stranger"])


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no `chromium` here: `make tools` says how to get it")
    driver = pytest.importorskip("playwright.sync_api", reason="`make browser` installs the driver")
    with driver.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any, record: ReadRecord, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a story's page; what the page asks for or complains of fails the test."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_page(name: str, *, width: int = 1280, change: Callable[[str], str] = str, **options: Any) -> Any:
        file = tmp_path / f"{name}.html"
        file.write_text(change(html_page(record(name))))
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.complaints, page.refused = complaints, []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: complaints.append(request.url))
        page.on(
            "requestfailed", lambda request: request.failure == "csp" and page.refused.append(request.url)
        )
        page.goto(file.as_uri())
        assert complaints.pop(0) == file.as_uri()
        return page

    yield open_page
    for context in contexts:
        context.close()


@every_story
def test_a_page_loads_nothing_and_nothing_of_it_is_blocked(opened: Callable[..., Any], name: str) -> None:
    page = opened(name)
    page.wait_for_load_state("networkidle")
    assert page.complaints == []
    accent = "getComputedStyle(document.querySelector('h2')).borderTopStyle"
    assert page.evaluate(accent) == "solid", "the style is applied"


@pytest.mark.parametrize("bad", ["<img src='https://e.example/x.png'>", "<script>alert(1)</script>"])
def test_the_policy_blocks_what_escaping_could_have_missed(opened: Callable[..., Any], bad: str) -> None:
    page = opened("several_seeds", change=lambda text: text.replace("<footer>", f"<footer>{bad}"))
    page.wait_for_load_state("networkidle")
    assert any("Content Security Policy" in text for text in page.complaints)
    assert not any(text.startswith("dialog") for text in page.complaints)
    assert page.refused == [text for text in page.complaints if text.startswith("https:")]


@every_story
def test_a_page_never_scrolls_sideways(opened: Callable[..., Any], name: str) -> None:
    page = opened(name)
    page.evaluate("for (const it of document.querySelectorAll('details')) it.open = true")
    for width in (320, 400, 768, 960, 1100, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    ("name", "scheme", "width"),
    [
        ("several_seeds", "light", 1280),
        ("several_seeds", "dark", 1280),
        ("several_seeds", "light", 400),
        ("hostile", "dark", 1280),
        ("failed", "light", 1280),
        ("stranger", "dark", 1280),
    ],
)
def test_axe_finds_nothing_to_object_to(
    opened: Callable[..., Any], name: str, scheme: str, width: int
) -> None:
    import axe_playwright_python

    page = opened(name, color_scheme=scheme, width=width, bypass_csp=True)
    page.evaluate("for (const it of document.querySelectorAll('details')) it.open = true")
    page.evaluate(Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text())
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 20
    said = [(it["id"], [node["html"][:200] for node in it["nodes"][:3]]) for it in found["violations"]]
    assert said == [], json.dumps(said, indent=1)


def test_without_scripts_everything_but_the_filter_is_there(opened: Callable[..., Any]) -> None:
    with_scripts = opened("hostile").locator("#mistakes tbody tr").count()
    page = opened("hostile", java_script_enabled=False)
    assert page.locator("#mistakes tbody tr").count() == with_scripts > 0
    assert page.locator("#filter").count() == 0
    page.locator("summary").first.click()
    assert page.locator("details").first.get_attribute("open") is not None


def test_the_filter_hides_what_does_not_match_and_says_how_many_do(opened: Callable[..., Any]) -> None:
    page = opened("hostile")
    page.get_by_label("Filter these items").fill("ITEM-02")
    assert page.locator("#mistakes tbody tr:visible").count() == 1
    assert page.locator("output").inner_text().startswith("1 of ")
    page.get_by_label("Filter these items").fill("")
    assert page.locator("#mistakes tbody tr:visible").count() > 1


def test_every_part_is_reached_with_the_keyboard(opened: Callable[..., Any]) -> None:
    page = opened("several_seeds", width=400)
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.getAttribute('href') || document.activeElement.tagName")
        )
    assert {"#result", "#caveats", "INPUT", "SUMMARY", "PRE"} <= reached


@pytest.mark.parametrize(("name", "greens"), [("several_seeds", True), ("stranger", False)])
def test_nothing_that_nobody_verified_is_green(opened: Callable[..., Any], name: str, greens: object) -> None:
    page = opened(name)
    colours = "Array.from(document.querySelectorAll('.good'), (it) => getComputedStyle(it).color)"
    page.evaluate("document.querySelector('.fraction').classList.add('good')")
    assert ("rgb(23, 102, 58)" in page.evaluate(colours)) is greens


def test_on_paper_there_is_no_navigation_and_the_text_is_black_on_white(opened: Callable[..., Any]) -> None:
    page = opened("several_seeds", color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    colours = (
        "[getComputedStyle(document.documentElement).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert page.evaluate(colours) == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
