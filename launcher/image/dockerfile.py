"""Read a Dockerfile as far as it takes to see whether everything it fetches is named by digest.

The grammar is https://docs.docker.com/reference/dockerfile/. A tag, a variable or an address says where to
look, not what is found there: the next build may find something else.
"""

import re
from collections.abc import Iterator

from msgspec import Struct

from launcher.errors import MalformedError, Problem

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_DIRECTIVE = re.compile(r"#\s*(syntax|escape)\s*=\s*(\S+)\s*$", re.IGNORECASE)
_HEREDOC = re.compile(r"""<<-?(["']?)([A-Za-z_][A-Za-z0-9_]*)\1""")
_MOUNT_FROM = re.compile(r"--mount=\S*?\bfrom=([^,\s]+)")
_COPY_FROM = re.compile(r"--from=(\S+)")
_CHECKSUM = re.compile(r"--checksum=sha256:[0-9a-f]{64}\b")
_COMMIT = re.compile(r"#[0-9a-f]{40}(?::|$)")
_EPOCH = re.compile(r"^\s*ARG\s+SOURCE_DATE_EPOCH=([0-9]{1,11})\s*$", re.IGNORECASE | re.MULTILINE)
_DEFAULT_TIME = 1767225600  # 2026-01-01T00:00:00Z, as in the recipes of images/


class Instruction(Struct, frozen=True):
    """One instruction, its lines joined: `line` is its first one (from 1), `word` is in capitals."""

    line: int
    word: str
    rest: str


def source_time(text: str) -> int:
    """Return the time that files get: `ARG SOURCE_DATE_EPOCH=N` in the Dockerfile, else a constant."""
    found = _EPOCH.search(text)
    return int(found[1]) if found else _DEFAULT_TIME


def refuse_unpinned(text: str, file: str) -> None:
    """Raise `MalformedError` with each place where something is fetched by another name than a digest."""
    problems = [Problem(file, line, 1, message) for line, message in _unpinned(text)]
    if problems:
        raise MalformedError(
            f"`{file}` fetches what is not named by digest",
            code="dockerfile-unpinned",
            hint="write NAME@sha256:<64 hex>; `docker buildx imagetools inspect NAME` prints it",
            problems=problems,
        )


def _unpinned(text: str) -> Iterator[tuple[int, str]]:
    for line, name, value in _directives(text):
        if name == "syntax" and not _DIGEST.search(value):
            yield line, f"the frontend `{value}` is named by tag"
        if name == "escape" and value != "\\":
            yield line, "another escape character than `\\` is not read"
    stages: list[str] = []
    for instruction in instructions(text):
        known = {*stages, *map(str, range(len(stages)))}
        for message in _faults(instruction, known):
            yield instruction.line, message
        if instruction.word == "FROM":
            named = re.search(r"\sAS\s+(\S+)\s*$", instruction.rest, re.IGNORECASE)
            stages.append(named[1].lower() if named else "")


def _faults(instruction: Instruction, stages: set[str]) -> Iterator[str]:
    """Yield what is wrong with one instruction; `stages` are the names and numbers of those before it."""
    word, rest = instruction.word, instruction.rest
    if word == "FROM":
        names = [part for part in rest.split() if not part.startswith("--")][:1]
        names = [name for name in names if name != "scratch"]
    elif word in ("COPY", "ADD"):
        names = _COPY_FROM.findall(rest)
    else:
        names = _MOUNT_FROM.findall(rest) if word == "RUN" else []
    for name in names:
        if not _is_pinned(name, stages):
            yield f"{word}: `{name}` is named by {'a variable' if '$' in name else 'tag'}, not by digest"
    if word == "ADD":
        yield from _address_faults(rest)


def _is_pinned(name: str, stages: set[str]) -> bool:
    return name.lower() in stages or ("$" not in name and _DIGEST.search(name) is not None)


def _address_faults(rest: str) -> Iterator[str]:
    for part in re.findall(r"[^\s\"',\[\]]+", rest):
        is_git = part.startswith(("git@", "git://", "ssh://")) or re.match(r"https?://\S+\.git(?:#|$)", part)
        if is_git and not _COMMIT.search(part):
            yield f"ADD: `{part}` names no commit"
        elif not is_git and re.match(r"https?://", part) and not _CHECKSUM.search(rest):
            yield f"ADD: `{part}` has no --checksum=sha256:<64 hex>"


def _directives(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the parser directives at the top, until the first line that is none."""
    for number, line in enumerate(text.splitlines(), 1):
        found = _DIRECTIVE.match(line.strip())
        if found is None:
            return
        yield number, found[1].lower(), found[2]


def instructions(text: str) -> Iterator[Instruction]:
    """Yield the instructions; comments, and the bodies of here-documents, are left out."""
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        joined = line.strip()
        if not joined or joined.startswith("#"):
            continue
        while joined.endswith("\\"):
            following = next(lines, (0, ""))[1].strip()
            joined = joined if following.startswith("#") else joined[:-1] + " " + following
        word, _, rest = joined.partition(" ")
        word = word.upper()
        if word == "ONBUILD":
            word, _, rest = rest.strip().partition(" ")
        yield Instruction(number, word.upper(), rest.strip())
        if word in ("RUN", "COPY", "ADD"):
            for _, end in _HEREDOC.findall(rest):
                _skip(lines, end)


def _skip(lines: Iterator[tuple[int, str]], end: str) -> None:
    for _, line in lines:
        if line.strip() == end:
            return
