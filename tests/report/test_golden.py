"""Every word of a report, held against a file that a person has read."""

from collections.abc import Callable

import pytest

from launcher.report.record import Record
from tests.report import golden


@pytest.mark.parametrize("name", golden.NAMES)
def test_a_report_is_word_for_word_what_was_read(record: Callable[[str], Record], name: str) -> None:
    for ending, text in golden.expected(record(name)).items():
        assert text == (golden.FOLDER / f"{name}.{ending}").read_text(), f"{name}.{ending}"
