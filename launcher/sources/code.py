"""Fetch code by commit: the commit's whole tree, file by file, without filters, hooks or `.git`.

Files are taken from git's own objects (`ls-tree`, `cat-file`), never from a checkout, so that no attribute,
line-ending rule or smudge filter of this machine changes a byte. git checks each object against its id.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from launcher.canonical import canonical_bytes, parse_json
from launcher.digest import sha256_hex
from launcher.errors import EvalctlError, InfrastructureError, MalformedError
from launcher.sources.inputs import FetchSettings, local_path, redacted
from launcher.spec.blueprint import Code
from launcher.spec.lock import CodePins
from launcher.store.cache import Cache
from launcher.store.files import write_atomically
from launcher.store.home import make_private

_GIT_SECONDS = 600
_MAX_FILES = 100_000
_MAX_BYTES = 4 << 30


@dataclass(frozen=True, slots=True)
class CodeTree:
    """A commit's files on disk (`root`), its pins, and the committer's time in seconds since 1970."""

    root: Path
    pins: CodePins
    commit_time: int


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: str
    object_id: str
    path: str


def fetch_code(code: Code, cache: Cache, settings: FetchSettings) -> CodeTree:
    """Return the tree of `code.commit` from the cache, fetching it from `code.git` when it is not there.

    Raises `InfrastructureError` when the commit is not to be had, `MalformedError` when its tree cannot be
    mounted or lacks a path the blueprint names.
    """
    folder = cache.root / "code" / code.commit
    tree = _cached(folder, code)
    if tree is None:
        settings.say(f"fetching commit {code.commit[:12]} from {redacted(code.git)}")
        _fetch(code, cache, settings, folder)
        tree = _cached(folder, code)
    if tree is None:
        raise InfrastructureError(
            f"the files of commit `{code.commit}` changed while they were stored",
            code="code-damaged",
            hint="launch again; if it stays, check the disk",
        )
    return tree


def _cached(folder: Path, code: Code) -> CodeTree | None:
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
    for folder, _, names in os.walk(root):
        for name in names:
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


def _fetch(code: Code, cache: Cache, settings: FetchSettings, folder: Path) -> None:
    import shutil
    import tempfile

    make_private(folder.parent)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as temporary:
        repository, staging = Path(temporary, "git"), Path(temporary, "entry")
        _bring_objects(code, settings, repository)
        facts = _materialise(code, repository, staging / "tree")
        write_atomically(staging / "facts.json", canonical_bytes(facts))
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)


def _bring_objects(code: Code, settings: FetchSettings, repository: Path) -> None:
    source = code.git if "://" in code.git else str(local_path(code.git, settings.base))
    if "://" in code.git and settings.offline:
        raise InfrastructureError(
            f"commit `{code.commit}` is not in the cache, and `--offline` forbids to fetch it",
            code="code-not-cached",
            hint="launch once without --offline",
        )
    _git(None, "init", "--quiet", "--bare", str(repository))
    want = [code.commit]
    if Path(source).is_file():
        want = ["+refs/*:refs/bundle/*", "+HEAD:refs/bundle/HEAD"]
        heads = _git(repository, "bundle", "list-heads", source).decode(errors="replace")
        if not any(line.endswith(" HEAD") for line in heads.splitlines()):
            want.pop()
    try:
        _git(repository, "fetch", "--quiet", "--no-tags", source, *want)
        _git(repository, "cat-file", "-e", f"{code.commit}^{{commit}}")
    except InfrastructureError as error:
        raise InfrastructureError(
            f"commit `{code.commit}` is not to be had",
            code="commit-not-found",
            context=f"{redacted(code.git)}: {error.context}",
            hint="correct `code.git` or `code.commit`, or name the blueprint's folder with `--blueprint-dir`",
        ) from error


def _materialise(code: Code, repository: Path, root: Path) -> dict[str, object]:
    """Write the commit's files under `root` and return the facts kept beside them."""
    header = _git(repository, "show", "--no-patch", "--format=%T %ct", code.commit).decode().split()
    listing = _git(repository, "ls-tree", "-r", "-z", "--full-tree", code.commit)
    entries = [_entry(line) for line in listing.split(b"\0") if line]
    if len(entries) > _MAX_FILES:
        raise _refused(f"it has {len(entries)} files; at most {_MAX_FILES} are taken")
    root.mkdir(parents=True)
    for entry, data in _blobs(repository, entries):
        _write_entry(root, entry, data)
    _open_folders(root)
    return {"tree": header[0], "time": int(header[1]), "content": _content(dict(_sums(root)))}


def _entry(line: bytes) -> _Entry:
    meta, _, raw = line.partition(b"\t")
    mode, kind, object_id = meta.decode().split()
    try:
        path = raw.decode()
    except UnicodeDecodeError as error:
        raise _refused(f"the name {raw!r} is not UTF-8") from error
    if kind != "blob":
        raise _refused(f"`{path}` is a submodule; put its files into the commit")
    return _Entry(mode, object_id, path)


def _blobs(repository: Path, entries: list[_Entry]) -> Iterator[tuple[_Entry, bytes]]:
    """Yield each entry with its bytes through one `git cat-file --batch`."""
    wanted = "".join(f"{entry.object_id}\n" for entry in entries).encode()
    sizes = _git(repository, "cat-file", "--batch-check=%(objectsize)", feed=wanted).split()
    if sum(map(int, sizes)) > _MAX_BYTES:
        raise _refused(f"its files are larger than {_MAX_BYTES} bytes")
    output = memoryview(_git(repository, "cat-file", "--batch=%(objectsize)", feed=wanted))
    offset = 0
    for entry, size in zip(entries, map(int, sizes), strict=True):
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


def _open_folders(root: Path) -> None:
    """Let the container's user pass through the folders, whatever the umask was."""
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o755)


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


def _git(repository: Path | None, *arguments: str, feed: bytes = b"") -> bytes:
    """Run git without the user's configuration, hooks or prompts; return its output."""
    import subprocess

    where = [] if repository is None else [f"--git-dir={repository}"]
    try:
        done = subprocess.run(
            ["git", *where, *arguments],
            input=feed,
            capture_output=True,
            env=_git_environment(),
            timeout=_GIT_SECONDS,
            check=True,
        )
    except FileNotFoundError as error:
        raise InfrastructureError(
            "`git` is not installed", code="git-missing", hint="install git (`apt-get install git`)"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise _git_failed(arguments, f"no answer within {_GIT_SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        raise _git_failed(arguments, error.stderr.decode(errors="replace").strip()[-500:]) from error
    return done.stdout


def _git_failed(arguments: tuple[str, ...], context: str) -> InfrastructureError:
    return InfrastructureError(
        f"`git {arguments[0]}` failed",
        code="git-failed",
        context=context or "it said nothing",
        hint="check that `code.git` is a repository or a `git bundle` file that you can read",
    )


def _git_environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    settings = {
        "uploadpack.allowAnySHA1InWant": "true",
        "protocol.ext.allow": "never",
        "fetch.fsckObjects": "true",
        "core.hooksPath": os.devnull,
        "gc.auto": "0",
        "safe.directory": "*",
    }
    numbered: dict[str, str] = {}
    for index, (key, value) in enumerate(settings.items()):
        numbered |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return (
        kept | numbered | {"GIT_CONFIG_COUNT": str(len(settings)), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    )
