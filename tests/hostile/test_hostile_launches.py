"""A hostile evaluation, launched by the real command on every engine, and the host that it ran on."""

import pytest

from tests.hostile.holds import HOLDS
from tests.hostile.launching import Hostile
from tests.hostile.table import Launch, read_attempts, read_launches

pytestmark = [pytest.mark.engine, pytest.mark.image]

ATTEMPTS, LAUNCHES = read_attempts(), read_launches()
GROUPS = list(dict.fromkeys(attempt.group for attempt in ATTEMPTS))
HONEST = {"honest": "honest"}


def _rows(*, once: bool) -> list[object]:
    marks = {True: [pytest.mark.slow], False: []}
    return [pytest.param(row, id=row.name, marks=marks[row.slow]) for row in LAUNCHES if row.once is once]


@pytest.mark.parametrize("group", GROUPS)
def test_every_attempt_is_answered_as_the_table_says(hostile: Hostile, group: str) -> None:
    rows = [attempt for attempt in ATTEMPTS if attempt.group == group]
    expected = {row.name: row.expected(hostile.runtime) for row in rows}
    guests = [name for name, answer in expected.items() if answer == "guest"]
    ended = hostile.launch(group, expected, {"guest": str(guests)})
    odd = {name: answer for name, answer in ended.samples().items() if answer != expected[name]}
    assert not odd, {name: (odd[name], expected[name]) for name in odd}
    hostile.require_unharmed(ended)
    assert ended.answer["failure"] is None
    assert (ended.code, ended.answer["verdict"]) == (0, "pass")
    assert ended.answer["metrics"][0]["n"] == len(rows)


def _judge(hostile: Hostile, row: Launch) -> None:
    row = row.under(hostile.runtime)
    ended = hostile.launch(row.name, HONEST, row.change)
    hostile.require_unharmed(ended)
    failure, verdict = ended.answer["failure"], ended.answer["verdict"]
    if len(row.failures) > 1:
        assert (failure or "") in row.failures
        assert verdict == ("none" if failure else "pass")
    else:
        assert [failure] == list(row.failures or [None])
        assert (verdict, ended.code) == (row.verdict, row.exit_code)
    for name in row.holds:
        HOLDS[name](ended)
    if row.name.startswith("forged"):
        hostile.require_plain_reports(ended)


@pytest.mark.parametrize("row", _rows(once=False))
def test_a_launch_under_attack_ends_as_the_table_says(hostile: Hostile, row: Launch) -> None:
    _judge(hostile, row)


@pytest.mark.parametrize("row", _rows(once=True))
def test_what_the_launcher_alone_judges_ends_as_the_table_says(hostile_once: Hostile, row: Launch) -> None:
    _judge(hostile_once, row)
