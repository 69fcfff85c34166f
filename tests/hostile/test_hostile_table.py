"""The tables are whole: one row for each attack, and the page shows them."""

import re

from tests.hostile.holds import HOLDS
from tests.hostile.table import HERE, PAGE, page, read_attempts, read_launches


def _attempts_in_code(group: str) -> list[str]:
    text = (HERE / "code" / f"{group}.py").read_text()
    return [name.replace("_", "-") for name in re.findall(r"@attempt\ndef (\w+)", text)]


def test_every_attempt_has_a_row_and_every_row_an_attempt() -> None:
    rows = read_attempts()
    for group in {row.group for row in rows}:
        assert [row.name for row in rows if row.group == group] == _attempts_in_code(group)


def test_every_launch_has_a_row_and_every_row_a_launch() -> None:
    text = "".join(path.read_text() for path in (HERE / "code").glob("ending_*.py"))
    names = {name.replace("_", "-") for name in re.findall(r"@ending\ndef (\w+)", text)}
    names |= {f"samples-{name}" for name in re.findall(r'\n_sample\("([\w-]+)"', text)}
    names |= {f"events-{name}" for name in re.findall(r'\n_event\("([\w-]+)"', text)}
    assert {row.name for row in read_launches()} == names


def test_what_a_row_holds_is_known() -> None:
    assert {name for row in read_launches() for name in row.holds} == set(HOLDS)


def test_the_committed_page_is_current() -> None:
    """`python -m tests.hostile.write_page` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()
