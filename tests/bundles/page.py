"""Write docs/forgeries.md, the table of all cases: python -m tests.bundles.page."""

from collections.abc import Iterator
from pathlib import Path

from tests.bundles.case import Case
from tests.bundles.classes import CLASSES, AttackClass
from tests.bundles.corpus import cases

PAGE = Path(__file__).parents[2] / "docs" / "forgeries.md"

_HEAD = """# Forged bundles, and what `verify` says of each

A bundle is made by somebody else. Every way to forge one that we know of is a case in `tests/bundles/`:
`python -m tests.bundles.build [DIR]` makes a folder for each, `<case>_fail` or `<case>_ok`, with the bundle,
the key or policy it is verified under, and what is expected. A forgery is refused with exit code 1 (not what
was signed, or not what it says) or 3 (signed by nobody who counts); 2 is for what the person at the command
line gave: a malformed policy, or a file for a bundle. The honest ones verify. `tests/test_forged_bundles.py`
holds `verify` to this table, and the table to the cases.

Whatever does not say otherwise was signed by the trusted key, *alice*: most of these forgeries are those of
somebody who holds it, or got it to sign.
"""
_CLASSES = """
## Classes

A class is a way in; a case may be of several. The advisories are those of other verifiers that were entered
that way.

| class | elsewhere | cases | some of them | in |
|---|---|---|---|---|
"""
_SOME = 6
_COLUMNS = "| case | what was done | exit | refused by | in words |\n|---|---|---|---|---|\n"


def page() -> str:
    """Return the text of the page."""
    every = cases()
    groups = list(dict.fromkeys(case.group for case in every))
    forged = sum(1 for case in every if case.exit_code)
    counts = f"\n{forged} forgeries, {len(every) - forged} honest bundles.\n"
    classes = _CLASSES + "".join(_class_row(one, every) for one in CLASSES)
    return _HEAD + counts + classes + "".join(_section(group, every) for group in groups)


def _class_row(one: AttackClass, every: tuple[Case, ...]) -> str:
    found = one.of(every)
    groups = list(dict.fromkeys(case.group for case in found))
    named = [f"[{_title(group)}](#{_anchor(group, every)})" for group in groups]
    some = ", ".join(_code(case.title) for case in found[:: max(1, len(found) // _SOME)][:_SOME])
    return f"| {one.words} | {one.elsewhere} | {len(found)} | {some} | {', '.join(named)} |\n"


def _anchor(group: str, every: tuple[Case, ...]) -> str:
    count = sum(1 for case in every if case.group == group)
    return f"{group.replace(' ', '-')}-{count}"


def _section(group: str, every: tuple[Case, ...]) -> str:
    found = [case for case in every if case.group == group]
    lines = "".join(_rows(found))
    title = f"{_title(group)} ({len(found)})"
    return f"\n## {title}\n\n{_COLUMNS}{lines}"


def _title(group: str) -> str:
    return group[0].upper() + group[1:]


def _rows(found: list[Case]) -> Iterator[str]:
    for case in found:
        cells = (f"`{case.title}`", case.attack, str(case.exit_code), _code(case.refused_by), case.words)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    PAGE.write_text(page())
