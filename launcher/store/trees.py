"""Folders of inputs in the cache: copied or unpacked once, under a key, and hashed again at each use.

The digest of a tree is the SHA-256 of the lines `sha256  path` of its regular files, sorted by the bytes of
the path; anything but folders and regular files has none.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from launcher.digest import hash_file, sha256_hex, sums_text
from launcher.errors import InfrastructureError
from launcher.spec.grammars import is_plain_path
from launcher.store.files import open_folders
from launcher.store.home import make_private

MAX_FILES = 1_000_000
MAX_DEPTH = 64
_LEAST_FREE = 256 << 20
_CHUNK = 1 << 20
_GLANCE = 64 << 20


class Member(Struct, frozen=True):
    """One file of a tree: its path, `/` between its parts, and its bytes."""

    path: str
    chunks: Iterable[bytes]


class TreeEntry(Struct, frozen=True):
    """A tree at hand: where its files are, its digest in hex, and how many bytes they hold."""

    root: Path
    sha256: str
    size: int


class TreeCache(Struct, frozen=True):
    """Trees below one folder, each with its digest beside it; entries appear whole or not at all."""

    root: Path

    def place(self, key: str) -> Path:
        """Return where the files kept under `key` are, or would be."""
        return self.root / key / "tree"

    def find(self, key: str) -> TreeEntry | None:
        """Return the tree kept under `key` after hashing it again, or None; a damaged one is thrown away."""
        folder = self.root / key
        if not folder.is_dir():
            # Nothing to throw away: another launch may put it there, whole, in this moment.
            return None
        try:
            expected = (folder / "digest").read_text()
            entry = read_tree(folder / "tree")
        except (OSError, ValueError, InfrastructureError):
            shutil.rmtree(folder, ignore_errors=True)
            return None
        if entry.sha256 == expected:
            return entry
        shutil.rmtree(folder, ignore_errors=True)
        return None

    def put(
        self, members: Iterable[Member], *, what: str, key: str | None = None, expected: str | None = None
    ) -> TreeEntry:
        """Keep a tree under `key` (its own digest where that is None), refusing one other than `expected`.

        Raises `InfrastructureError` (`input-tree-refused`, `input-digest-mismatch`, `cache-not-writable`).
        """
        make_private(self.root)
        staging = self.root / f".{os.getpid()}.{os.urandom(6).hex()}"
        try:
            written = _write_tree(staging / "tree", members, what)
            if expected not in (None, written.sha256):
                raise _mismatch(what, str(expected), written.sha256)
            (staging / "digest").write_text(written.sha256)
            return self._put_in_place(staging, key or written.sha256, written)
        except OSError as error:
            raise not_stored(what, error) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _put_in_place(self, staging: Path, key: str, written: TreeEntry) -> TreeEntry:
        place = self.root / key
        try:
            staging.rename(place)
        except OSError:
            # Somebody else was faster; theirs counts only if it is the same.
            there = self.find(key)
            if there is None or there.sha256 != written.sha256:
                staging.rename(place)
        return TreeEntry(place / "tree", written.sha256, written.size)


def read_tree(root: Path, *, what: str = "the folder") -> TreeEntry:
    """Hash every file below `root`; raises `InfrastructureError` for anything a tree may not hold."""
    sums, size = {}, 0
    for path, file in tree_files(root, what=what):
        sums[path], own = hash_file(file)
        size += own
    return TreeEntry(root, sha256_hex(sums_text(sums.items())), size)


def size_of(path: Path) -> int:
    """Return how many bytes a file, or the files of a folder, hold; nothing is read."""
    if path.is_dir():
        return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())
    return path.stat().st_size


def folder_members(root: Path, *, what: str) -> Iterator[Member]:
    """Yield the files of a folder of this host, to be kept in the cache."""
    for path, file in tree_files(root, what=what):
        yield Member(path, _chunks(file))


def tree_files(root: Path, *, what: str) -> Iterator[tuple[str, Path]]:
    """Yield the path and place of each regular file below `root`; refuse links, devices and odd names."""
    count = 0
    for folder, folders, names in os.walk(root, onerror=_raise):
        folders.sort()
        for name in (*folders, *sorted(names)):
            place = Path(folder, name)
            path = place.relative_to(root).as_posix()
            mode = place.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise refused(what, f"{path!a} is neither a regular file nor a folder")
            if stat.S_ISDIR(mode):
                continue
            count += 1
            _refuse_odd(what, path, count)
            yield path, place


def refused(what: str, reason: str) -> InfrastructureError:
    """Return the error for a tree that cannot be one."""
    return InfrastructureError(
        f"`{what}` is not a tree that can be mounted",
        code="input-tree-refused",
        context=reason,
        hint="keep plain files with plain names in it, no links",
    )


def not_stored(what: str, error: OSError) -> InfrastructureError:
    """Return the error for a cache that cannot take an input."""
    return InfrastructureError(
        f"cannot store `{what}` in the cache",
        code="cache-not-writable",
        context=error.strerror,
        hint="free some disk space, or set EVALCTL_HOME to a larger disk",
    )


def _raise(error: OSError) -> None:
    raise error


def _refuse_odd(what: str, path: str, count: int) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise refused(what, f"the name {path!a} is not UTF-8") from error
    if not is_plain_path(path) or "\n" in path:
        raise refused(what, f"the name {path!a} is not one inside a tree")
    if path.count("/") >= MAX_DEPTH:
        raise refused(what, f"{path[:200]!a} is deeper than {MAX_DEPTH} folders")
    if count > MAX_FILES:
        raise refused(what, f"it has more than {MAX_FILES} files")


def _chunks(path: Path) -> Iterator[bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _write_tree(root: Path, members: Iterable[Member], what: str) -> TreeEntry:
    root.mkdir(parents=True)
    sums: dict[str, str] = {}
    total = 0
    for count, member in enumerate(members, 1):
        _refuse_odd(what, member.path, count)
        if member.path in sums:
            raise refused(what, f"{member.path!a} stands twice in it")
        sums[member.path], size = _write_file(root, member, what)
        total += size
    open_folders(root)
    return TreeEntry(root, sha256_hex(sums_text(sums.items())), total)


def _write_file(root: Path, member: Member, what: str) -> tuple[str, int]:
    path = root / member.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("xb", buffering=0)
    except (FileExistsError, NotADirectoryError) as error:
        raise refused(what, f"{member.path!a} is a file and a folder in it") from error
    state, size, glanced = hashlib.sha256(), 0, 0
    with stream:
        for chunk in member.chunks:
            state.update(chunk)
            stream.write(chunk)
            size += len(chunk)
            if size - glanced >= _GLANCE:
                glanced = size
                refuse_full(root, what)
    path.chmod(0o444)
    return state.hexdigest(), size


def refuse_full(root: Path, what: str) -> None:
    """Stop before an archive that unpacks to more than anybody has room for fills the disk."""
    if shutil.disk_usage(root).free < _LEAST_FREE:
        raise InfrastructureError(
            f"`{what}` does not fit on the disk",
            code="disk-full",
            context=f"less than {_LEAST_FREE >> 20} MiB would be left",
            hint="free some disk space, or set EVALCTL_HOME to a larger disk",
        )


def _mismatch(what: str, expected: str, got: str) -> InfrastructureError:
    return InfrastructureError(
        f"`{what}` has other files than its checksum says",
        code="input-digest-mismatch",
        context=f"expected the tree digest {expected}, got {got}",
        hint="correct `sha256` in the blueprint, or get the folder that it names",
    )
