"""Read a Dockerfile as far as it takes to see whether everything it fetches is named by digest.

The grammar is https://docs.docker.com/reference/dockerfile/. A tag, a variable or an address says where to
look, not what is found there: the next build may find something else.
"""

import re
from collections.abc import Iterator

from msgspec import Struct

from launcher.errors import MalformedError, Problem

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_DIRECTIVE = re.compile(r"(?:#|//)\s*([a-z][a-z0-9]*)\s*=\s*(.+?)\s*$", re.IGNORECASE)
_CONTINUED = re.compile(r"(?:^|(?<=[^\\]))\\[ \t]*$")
_HEREDOC = re.compile(r"""\d*<<(-?)(["']?)([A-Za-z_][A-Za-z0-9_]*)\2$""")
_UNCLEAR = re.compile(r"[\"'\\$`]|[^\t -~]")
_MOUNT = re.compile(r"--mount=(\S+)")
_MOUNT_FROM = re.compile(r"\bfrom=([^,\s]+)", re.IGNORECASE)
_COPY_FROM = re.compile(r"--from=(\S+)")
_CHECKSUM = re.compile(r"--checksum=sha256:[0-9a-f]{64}\b")
_COMMIT = re.compile(r"#[0-9a-f]{40}(?::|$)")
_EPOCH = re.compile(r"^\s*ARG\s+SOURCE_DATE_EPOCH=([0-9]{1,11})\s*$", re.IGNORECASE | re.MULTILINE)
_DEFAULT_TIME = 1767225600  # 2026-01-01T00:00:00Z, as in the recipes of images/


class Instruction(Struct, frozen=True):
    """One instruction, its lines joined: `line` is its first one (from 1), `word` is in capitals.

    `doubtful` says that it may begin a here-document, whose lines are then read as instructions.
    """

    line: int
    word: str
    rest: str
    doubtful: bool = False


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
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        yield 1, "a frontend of its own is named by what is no Dockerfile"
    stages: list[str] = []
    for instruction in instructions(text):
        known = set(stages) if instruction.word == "FROM" else {*stages, *map(str, range(len(stages)))}
        for message in _faults(instruction, known):
            yield instruction.line, message
        if instruction.word == "FROM":
            named = re.search(r"\sAS\s+(\S+)\s*$", instruction.rest, re.IGNORECASE)
            stages.append(named[1].lower() if named else "")


def _faults(instruction: Instruction, stages: set[str]) -> Iterator[str]:
    """Yield what is wrong with one instruction; `stages` are the names and numbers of those before it."""
    word, rest = instruction.word, instruction.rest
    # Quotes and escapes may stand anywhere in a word, and do not belong to it.
    bare = re.sub(r"[\"'\\]", "", rest)
    if word == "FROM":
        names = [part for part in rest.split() if not part.startswith("--")][:1]
        names = [name for name in names if name != "scratch"]
    elif word in ("COPY", "ADD"):
        names = _COPY_FROM.findall(bare)
    else:
        mounts = _MOUNT.findall(bare) if word == "RUN" else []
        names = [name for mount in mounts for name in _MOUNT_FROM.findall(mount)]
    for name in names:
        if not _is_pinned(name, stages):
            yield f"{word}: `{name}` is named by {'a variable' if '$' in name else 'tag'}, not by digest"
    if word == "ADD":
        yield from _address_faults(bare)
    if instruction.doubtful:
        yield f"{word}: whether `<<` begins a here-document is not clear; put it before quotes and variables"


def _is_pinned(name: str, stages: set[str]) -> bool:
    return name.lower() in stages or ("$" not in name and _DIGEST.search(name) is not None)


def _address_faults(rest: str) -> Iterator[str]:
    for part in re.findall(r"[^\s,\[\]]+", rest):
        if "$" in part:
            yield f"ADD: `{part}` is named by a variable"
        is_git = part.startswith(("git@", "git://", "ssh://")) or re.match(r"https?://\S+\.git(?:#|$)", part)
        if is_git and not _COMMIT.search(part):
            yield f"ADD: `{part}` names no commit"
        elif not is_git and re.match(r"https?://", part) and not _CHECKSUM.search(rest):
            yield f"ADD: `{part}` has no --checksum=sha256:<64 hex>"


def _directives(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the parser directives at the top, until the first line that is none."""
    for number, line in enumerate(_lines(text), 1):
        found = _DIRECTIVE.match(line.strip())
        if found:
            yield number, found[1].lower(), found[2]
        elif number > 1 or not line.startswith("#!"):
            return


def instructions(text: str) -> Iterator[Instruction]:
    """Yield the instructions as BuildKit finds them; comments, and bodies of here-documents, are left out."""
    lines = iter(enumerate(_lines(text), 1))
    for number, line in lines:
        joined, is_open = _end_of_line("" if _is_comment(line) else line.lstrip())
        while is_open and (following := next(lines, None)) is not None:
            if following[1].strip() and not _is_comment(following[1]):
                part, is_open = _end_of_line(following[1])
                joined += part
        if not joined.strip():
            continue
        word, rest = _split(joined)
        if word == "ONBUILD":
            word, rest = _split(rest)
        ends, doubtful = _heredocs(rest) if word in ("RUN", "COPY", "ADD") else ([], False)
        yield Instruction(number, word, rest, doubtful)
        for end, chomp in ends:
            _skip(lines, end, chomp)


def _lines(text: str) -> list[str]:
    return [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _end_of_line(line: str) -> tuple[str, bool]:
    """Return the line without the backslash at its end, and whether there was one."""
    found = _CONTINUED.search(line)
    return (line[: found.start()], True) if found else (line, False)


def _split(text: str) -> tuple[str, str]:
    word, *rest = text.split(None, 1)
    return word.upper(), rest[0].strip() if rest else ""


def _heredocs(rest: str) -> tuple[list[tuple[str, str]], bool]:
    """Return the name and the `-` of each here-document, and whether there may be others.

    BuildKit takes a whole word for one. What is a word is clear until something is quoted or escaped.
    """
    found = []
    for match in re.finditer(r"(?<!\S)\d*<<(?!<)\S*", rest):
        heredoc = _HEREDOC.match(match.group())
        if heredoc is None or _UNCLEAR.search(rest[: match.start()]):
            return [], True
        found.append((heredoc[3], heredoc[1]))
    return found, False


def _skip(lines: Iterator[tuple[int, str]], end: str, chomp: str) -> None:
    for _, line in lines:
        if (line.lstrip("\t") if chomp else line) == end:
            return
