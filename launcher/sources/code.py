"""Fetch code by commit: the commit's whole tree, file by file, without filters, hooks or `.git`.

Files are taken from git's own objects (`ls-tree`, `cat-file`), never from a checkout, so that no attribute,
line-ending rule or smudge filter of this machine changes a byte. git checks each object against its id.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from msgspec import Struct

from launcher.canonical import canonical_bytes, parse_json
from launcher.digest import sha256_hex
from launcher.errors import EvalctlError, InfrastructureError, MalformedError
from launcher.sources.git import Git
from launcher.sources.inputs import FetchSettings, local_path, redacted
from launcher.spec.blueprint import Code
from launcher.spec.grammars import is_plain_path, is_web
from launcher.spec.lock import CodePins
from launcher.store.cache import Cache
from launcher.store.files import open_folders, write_atomically
from launcher.store.home import make_private

_MAX_FILES = 100_000
_MAX_BYTES = 4 << 30
_LARGEST_FILE = 256 << 20
_MAX_LISTING = 64 << 20
_HEADER = re.compile(rb"tree ([0-9a-f]{40})\n(?:[^\n]+\n)*?committer [^\n]* ([0-9]{1,15}) [+-][0-9]{4}\n")


class CodeTree(Struct, frozen=True):
    """A commit's files on disk (`root`), its pins, and the committer's time in seconds since 1970."""

    root: Path
    pins: CodePins
    commit_time: int


class _Entry(Struct, frozen=True):
    mode: str
    object_id: str
    path: str


def fetch_code(code: Code, cache: Cache, settings: FetchSettings) -> CodeTree:
    """Return the tree of `code.commit` from the cache, fetching it from `code.git` when it is not there.

    Raises `InfrastructureError` when the commit is not to be had, `MalformedError` when its tree cannot be
    mounted or lacks a path the blueprint names.
    """
    folder = cache.root / "code" / code.commit
    if tree := cached_tree(folder, code):
        return tree
    settings.say(f"fetching commit {code.commit[:12]} from {redacted(code.git)}")
    with own_repository(cache) as git:
        bring_objects(code, settings, git)
        return keep_tree(git, code.commit, folder, code)


def cached_tree(folder: Path, code: Code) -> CodeTree | None:
    """Read the cache's entry back, hashing every file again; a damaged entry counts as absent."""
    try:
        facts = parse_json((folder / "facts.json").read_bytes(), what="the code cache's facts")
        sums = dict(_sums(folder / "tree"))
        tree, commit_time, content = facts["tree"], facts["time"], facts["content"]
    except (OSError, EvalctlError, KeyError, TypeError):
        return None
    if _content(sums) != content:
        return None
    lockfiles = {path: _lockfile(path, sums, code) for path in code.lockfiles}
    if code.path and not any(path.startswith(f"{code.path}/") for path in sums):
        raise _no_path(code, code.path, "`code.path`")
    return CodeTree(folder / "tree", CodePins(tree, content, lockfiles), commit_time)


def _lockfile(path: str, sums: Mapping[str, tuple[str, str]], code: Code) -> str:
    if path not in sums:
        raise _no_path(code, path, "the lock file")
    return sums[path][1]


def _no_path(code: Code, path: str, what: str) -> MalformedError:
    return MalformedError(
        f"{what} `{path}` does not exist at commit `{code.commit}`",
        code="no-such-path-in-code",
        hint=f"look with `git ls-tree -r --name-only {code.commit[:12]}`",
    )


def _sums(root: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield `(path, (mode, sha256))` of all files and links below `root`."""
    for folder, folders, names in os.walk(root):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in (*names, *links):
            path = Path(folder, name)
            if path.is_symlink():
                mode, data = "120000", os.fsencode(path.readlink())
            else:
                mode = "100755" if path.stat().st_mode & 0o100 else "100644"
                data = path.read_bytes()
            yield path.relative_to(root).as_posix(), (mode, sha256_hex(data))


def _content(sums: Mapping[str, tuple[str, str]]) -> str:
    lines = sorted((os.fsencode(path), f"{mode} {sha256}".encode()) for path, (mode, sha256) in sums.items())
    return sha256_hex(b"".join(line + b"  " + path + b"\n" for path, line in lines))


@contextmanager
def own_repository(cache: Cache) -> Iterator[Git]:
    """Yield a repository of our own beside the cached code, empty, and gone afterwards."""
    import tempfile

    folder = make_private(cache.root / "code")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as temporary:
        yield Git(Path(temporary))


def keep_tree(git: Git, tree: str, folder: Path, code: Code) -> CodeTree:
    """Put the files of `tree` (a tree or commit in `git`) into the cache's `folder`, and return them.

    The time is that of `code.commit`. Raises as `fetch_code` does.
    """
    staging = git.folder / "entry"
    facts = _materialise(git, code.commit, tree, staging / "tree")
    write_atomically(staging / "facts.json", canonical_bytes(facts))
    if there := cached_tree(folder, code):
        return there
    with suppress(FileNotFoundError):
        folder.rename(git.folder / "damaged")
    staging.rename(folder)
    kept = cached_tree(folder, code)
    if kept is None:
        raise InfrastructureError(
            f"the files of commit `{code.commit}` changed while they were stored",
            code="code-damaged",
            hint="launch again; if it stays, check the disk",
        )
    return kept


def bring_objects(code: Code, settings: FetchSettings, git: Git) -> None:
    """Fetch the commit; a path is made absolute, so that git takes it for neither an option nor a host."""
    remote = is_web(code.git)
    if remote and settings.offline:
        raise InfrastructureError(
            f"commit `{code.commit}` is not in the cache, and `--offline` forbids to fetch it",
            code="code-not-cached",
            hint="launch once without --offline",
        )
    source = code.git if remote else str(local_path(code.git, settings.base).absolute())
    try:
        want = [code.commit] if remote or not Path(source).is_file() else bundled_references(git, source)
        git.run("fetch", "--quiet", "--no-tags", "--", source, *want)
        git.run("cat-file", "-e", f"{code.commit}^{{commit}}")
    except InfrastructureError as error:
        raise InfrastructureError(
            f"commit `{code.commit}` is not to be had",
            code="commit-not-found",
            context=f"{redacted(code.git)}: {error.context}",
            hint="correct `code.git` or `code.commit`, or name the blueprint's folder with `--blueprint-dir`",
        ) from error


def bundled_references(git: Git, bundle: str) -> list[str]:
    """Return what to fetch from a `git bundle` file to have all of it."""
    heads = git.run("bundle", "list-heads", bundle).splitlines()
    head = ["+HEAD:refs/bundle/HEAD"] if any(line.endswith(b" HEAD") for line in heads) else []
    return ["+refs/*:refs/bundle/*", *head]


def _materialise(git: Git, commit: str, tree: str, root: Path) -> dict[str, object]:
    """Write the files of `tree` under `root` and return the facts kept beside them."""
    header = _HEADER.match(git.run("cat-file", "commit", commit))
    if header is None:
        raise _refused("the commit has no tree or no time")
    listing = git.run("ls-tree", "-r", "-z", "--full-tree", tree, limit=_MAX_LISTING)
    if listing.count(b"\0") > _MAX_FILES or len(listing) >= _MAX_LISTING:
        raise _refused(f"it has too many files; at most {_MAX_FILES} are taken")
    entries = [_entry(line) for line in listing.split(b"\0") if line]
    _refuse_overlap(entries)
    root.mkdir(parents=True)
    for entry, data in _blobs(git, entries):
        _write_entry(root, entry, data)
    _refuse_way_out(root, entries)
    open_folders(root)
    own = header[1].decode() if tree == commit else tree
    return {"tree": own, "time": int(header[2]), "content": _content(dict(_sums(root)))}


def _entry(line: bytes) -> _Entry:
    meta, _, raw = line.partition(b"\t")
    mode, kind, object_id = meta.decode().split()
    try:
        path = raw.decode()
    except UnicodeDecodeError as error:
        raise _refused(f"the name {raw!r} is not UTF-8") from error
    if "\n" in path or not is_plain_path(path) or ".git" in path.lower().split("/"):
        raise _refused(f"the name {path!a} is not one inside a tree")
    if kind != "blob":
        raise _refused(f"`{path}` is a submodule; put its files into the commit")
    return _Entry(mode, object_id, path)


def _refuse_overlap(entries: list[_Entry]) -> None:
    """Refuse a tree in which one path is a file and a folder, or stands twice: git itself never makes one."""
    files = {entry.path for entry in entries}
    folders = {parent.as_posix() for path in files for parent in PurePosixPath(path).parents}
    if len(files) != len(entries) or files & folders:
        raise _refused("a name stands twice in it")


def _refuse_way_out(root: Path, entries: list[_Entry]) -> None:
    """Refuse links that leave the tree by way of other links."""
    top = root.resolve()
    for entry in entries:
        if entry.mode == "120000" and not Path(os.path.realpath(root / entry.path)).is_relative_to(top):
            raise _refused(f"the link `{entry.path}` points outside the tree")


def _blobs(git: Git, entries: list[_Entry]) -> Iterator[tuple[_Entry, bytes]]:
    """Yield each entry with its bytes, a batch at a time, so that no tree fills the memory."""
    sizes = list(map(int, git.run("cat-file", "--batch-check=%(objectsize)", feed=_wanted(entries)).split()))
    if sum(sizes) > _MAX_BYTES:
        raise _refused(f"its files are larger than {_MAX_BYTES} bytes")
    for entry, size in zip(entries, sizes, strict=True):
        if size > _LARGEST_FILE:
            raise _refused(
                f"`{entry.path}` is larger than {_LARGEST_FILE} bytes; make it an input (`[[data]]`)"
            )
    start = batched = 0
    for at, size in enumerate(sizes):
        if batched and batched + size > _LARGEST_FILE:
            yield from _batch(git, entries[start:at], sizes[start:at])
            start, batched = at, 0
        batched += size
    yield from _batch(git, entries[start:], sizes[start:])


def _wanted(entries: list[_Entry]) -> bytes:
    return "".join(f"{entry.object_id}\n" for entry in entries).encode()


def _batch(git: Git, entries: list[_Entry], sizes: list[int]) -> Iterator[tuple[_Entry, bytes]]:
    output = memoryview(git.run("cat-file", "--batch=%(objectsize)", feed=_wanted(entries)))
    offset = 0
    for entry, size in zip(entries, sizes, strict=True):
        offset += len(str(size)) + 1
        yield entry, bytes(output[offset : offset + size])
        offset += size + 1


def _write_entry(root: Path, entry: _Entry, data: bytes) -> None:
    path = root / entry.path
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.mode == "120000":
        target = os.fsdecode(data)
        _refuse_escape(entry.path, target)
        path.symlink_to(target)
        return
    path.write_bytes(data)
    path.chmod(0o555 if entry.mode == "100755" else 0o444)


def _refuse_escape(path: str, target: str) -> None:
    depth = 0
    for part in (*PurePosixPath(path).parent.parts, *PurePosixPath(target).parts):
        depth += -1 if part == ".." else 1
        if depth < 0 or part.startswith("/"):
            raise _refused(f"the link `{path}` points outside the tree")


def _refused(reason: str) -> MalformedError:
    return MalformedError(
        "the commit's tree cannot be mounted",
        code="code-tree-refused",
        context=reason,
        hint="commit a tree of plain files and links inside it",
    )
