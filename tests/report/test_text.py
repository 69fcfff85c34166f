"""Text for a terminal is safe and fits, whatever it is made of."""

from hypothesis import given
from hypothesis import strategies as st

from launcher.report.text import WIDTH, cut, cut_middle, one_line, printable, table, wrapped

texts = st.text(max_size=300)
rows = st.integers(2, 6).flatmap(
    lambda width: st.lists(st.lists(texts, min_size=width, max_size=width), min_size=2, max_size=6)
)


def is_safe(line: str) -> bool:
    return all(letter.isprintable() or letter.isspace() for letter in line) and "\x1b" not in line


@given(texts)
def test_printable_text_keeps_line_feeds_and_escapes_every_other_control_character(text: str) -> None:
    for line in printable(text).split("\n"):
        assert is_safe(line)
        assert not {"\r", "\t", "\b", "\x7f", "\x85", "\u2028"} & set(line)


def test_what_reorders_or_hides_text_is_escaped() -> None:
    assert printable("a\u202eb\u200bc\x9b2J") == r"a\u202eb\u200bc\x9b2J"
    assert one_line("one\ntwo") == r"one\ntwo"
    assert printable("a\ufe0fb\u3164c\U000e0141") == r"a\ufe0fb\u3164c\U000e0141"
    assert printable("naïve 日本 \u00a0") == "naïve 日本 \u00a0"


@given(texts, st.integers(8, WIDTH))
def test_what_is_cut_fits(text: str, width: int) -> None:
    for line in (cut(text, width), cut_middle(text, width)):
        assert len(line) <= width
        assert is_safe(line)


def test_a_name_that_is_cut_in_its_middle_keeps_both_ends() -> None:
    assert cut_middle("accuracy-of-the-first", 15) == "accura...-first"


@given(texts)
def test_wrapped_lines_fit(text: str) -> None:
    assert all(len(line) <= WIDTH for line in wrapped(text, first="word     ", indent=9))


@given(rows)
def test_a_table_fits(cells: list[list[str]]) -> None:
    for line in table(cells):
        assert len(line) <= WIDTH
        assert is_safe(line)


def test_a_table_leaves_out_columns_without_content() -> None:
    assert table([("name", "spread", "n"), ("a", "-", "3"), ("b", "-", "40")]) == [
        "name  n",
        "a     3",
        "b     40",
    ]
