"""Values go into a TOML text in place, and nothing else in it changes."""

import tomllib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.authoring.edit import Change, edited
from launcher.spec.document import read_document

COMMIT = Change(("code", "commit"), "ff", ("git",))
SHA256 = Change(("data", 0, "sha256"), "aa", ("uri",))
SIZE = Change(("data", 0, "size"), 3, ("sha256", "uri"))


def edit(text: str, changes: Sequence[Change]) -> str:
    return edited(read_document(text.encode(), file="it.toml"), changes)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '[code]\ngit = "." # here\ncommit = ""   # fill\n',
            '[code]\ngit = "." # here\ncommit = "ff"   # fill\n',
        ),
        ('[code]\n  git = "." # here\n\n# more\n', '[code]\n  git = "." # here\n  commit = "ff"\n\n# more\n'),
        ('code.git = "."', 'code.git = "."\ncode.commit = "ff"'),
        ('code = { git = "." } # c\n', 'code = { git = ".", commit = "ff" } # c\n'),
        ('[code]\r\ngit = "."\r\n[run]\r\n', '[code]\r\ngit = "."\r\ncommit = "ff"\r\n[run]\r\n'),
        ("[code]\ngit = '''.\n''' # c\n[run]\n", "[code]\ngit = '''.\n''' # c\ncommit = \"ff\"\n[run]\n"),
        ('["code"]\n"git" = "."\n"commit" = """\n"""\n', '["code"]\n"git" = "."\n"commit" = "ff"\n'),
    ],
)
def test_a_value_goes_where_it_belongs(before: str, after: str) -> None:
    assert edit(before, [COMMIT]) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '[[data]]\nuri = "x"\n\n# next\n[[data]]\nuri = "y"\n',
            '[[data]]\nuri = "x"\nsha256 = "aa"\nsize = 3\n\n# next\n[[data]]\nuri = "y"\n',
        ),
        (
            '[[data]]\nsha256 = "" # c\nuri = "x"\nsize = 11\n',
            '[[data]]\nsha256 = "aa" # c\nuri = "x"\nsize = 3\n',
        ),
        (
            'data = [ { uri = "x" }, # one\n  { uri = "y" } ]\n',
            'data = [ { uri = "x", sha256 = "aa", size = 3 }, # one\n  { uri = "y" } ]\n',
        ),
        (
            '[[data]]\nuri = "x"\n[data.window]\nfrom = 2024-01-01\n[[data]]\nuri = "y"\n',
            '[[data]]\nuri = "x"\nsha256 = "aa"\nsize = 3\n[data.window]\nfrom = 2024-01-01\n'
            '[[data]]\nuri = "y"\n',
        ),
        (
            '# é\r\n[[data]]\r\n\r\nuri = "ü"\r\nsha256 = ""\r\n',
            '# é\r\n[[data]]\r\n\r\nuri = "ü"\r\nsha256 = "aa"\r\nsize = 3\r\n',
        ),
    ],
)
def test_several_values_keep_their_order(before: str, after: str) -> None:
    assert edit(before, [SHA256, SIZE]) == after


def test_nothing_to_change_changes_nothing() -> None:
    text = '[code]\r\ngit = "." # mixed\n'
    assert edit(text, []) == text


@given(
    comments=st.lists(st.text(st.characters(exclude_categories=["C", "Z"])), min_size=4, max_size=4),
    newline=st.sampled_from(["\n", "\r\n"]),
    value=st.text(st.characters(exclude_categories=["Cs", "Cc"])),
)
def test_every_line_but_the_edited_ones_stays(comments: list[str], newline: str, value: str) -> None:
    lines = ["# {}", "[code]", 'git = "." # {}', "# {}", "[x]", "y = 1 # {}"]
    rest = iter(comments)
    before = [line.format(next(rest)) if "{}" in line else line for line in lines]
    text = edit(newline.join(before), [Change(("code", "commit"), value, ("git",))])
    after = text.split(newline)
    assert [*after[:3], *after[4:]] == before
    assert tomllib.loads(text)["code"]["commit"] == value
