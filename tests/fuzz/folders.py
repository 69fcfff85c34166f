"""What is fuzzed of whole files and folders: archives of inputs, logs of other harnesses, ledgers.

Several files stand in the bytes of one input: each begins with a line that is `MARK` and its path.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from launcher.errors import EvalctlError, InfrastructureError, MalformedError
from launcher.exchange.found_logs import find_logs
from launcher.exchange.measured import measure
from launcher.harness.reading import read_harness
from launcher.ledger.audit import audit
from launcher.ledger.count import rows
from launcher.ledger.entries import entry_bytes, read_entry
from launcher.ledger.folder import LogFolder
from launcher.ledger.tiles import leaf_hashes, pack_entries, unpack_entries
from launcher.ledger.tree import fold
from launcher.sources.unpack import unpacked_members
from launcher.spec.blueprint import Unpack
from launcher.spec.grammars import is_plain_path
from launcher.spec.imported import Harness
from launcher.spec.sample import bundle_samples
from launcher.store.trees import Member, TreeCache, read_tree
from tests.spec.bundled import read_bundled

Target = Callable[[bytes], object]

MARK = b"\n--- "
_MOST_FILES = 24
_MOST_BYTES = 4 << 20
# Where folders cost nothing, if it is there.
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def joined(files: Mapping[str, bytes]) -> bytes:
    """Return one input that holds these files."""
    return b"".join(MARK + name.encode() + b"\n" + data for name, data in files.items())


@contextmanager
def _folder(data: bytes) -> Iterator[Path]:
    """Write the files of an input, as far as they have names that a folder can take."""
    with tempfile.TemporaryDirectory(dir=_MEMORY) as name:
        for part in data.split(MARK)[1 : _MOST_FILES + 1]:
            head, _, content = part.partition(b"\n")
            path = head.decode("utf-8", "replace")
            if is_plain_path(path) and len(path) < 200:
                with suppress(OSError):
                    (Path(name) / path).parent.mkdir(parents=True, exist_ok=True)
                    (Path(name) / path).write_bytes(content)
        yield Path(name)


def unpacking(unpack: Unpack) -> Target:
    """Return a target that unpacks an archive: what is kept is inside, whole, and hashes to what was said."""

    def read(data: bytes) -> None:
        with tempfile.TemporaryDirectory(dir=_MEMORY) as name:
            folder = Path(name)
            archive, cache = folder / "archive", folder / "cache"
            archive.write_bytes(data)
            try:
                members = _bounded(unpacked_members(archive, unpack, what="it"))
                entry = TreeCache(cache).put(members, what="it")
            except EvalctlError:
                assert not [*cache.iterdir()]
                raise
            again = read_tree(entry.root)
            assert (again.sha256, again.size) == (entry.sha256, entry.size)
            assert {*folder.iterdir()} == {archive, cache}
            assert [*cache.iterdir()] == [cache / entry.sha256]

    return read


def _bounded(members: Iterable[Member]) -> Iterator[Member]:
    """Pass members on until they have more bytes than a fuzzer has time for: else the disk is the bound."""
    left = _MOST_BYTES

    def chunks(member: Member) -> Iterator[bytes]:
        nonlocal left
        for chunk in member.chunks:
            left -= len(chunk)
            if left < 0:
                raise InfrastructureError("larger than what is tried here", code="disk-full")
            yield chunk

    for member in members:
        yield Member(member.path, chunks(member))


def logs_of(harness: str) -> Target:
    """Return a target that reads a harness's logs as a launch does, and as an import does."""

    def read(data: bytes) -> None:
        with _folder(data) as folder:
            _hold_samples(cast(Harness, harness), folder)
            for found in find_logs(folder):
                measure(found)

    return read


def _hold_samples(harness: Harness, folder: Path) -> None:
    """What is read of a log is what a bundle takes, and each refusal is the candidate's fault."""
    try:
        output = read_harness(harness, folder)
    except MalformedError as error:
        assert error.code in ("bad-harness-log", "harness-failed")
        assert error.message.isprintable()
        return
    made = bundle_samples([output.samples], [0])
    assert read_bundled(made.data) == list(made.samples)


def ledger(data: bytes) -> None:
    """Whatever is taken for a whole ledger has the root that its checkpoint signs."""
    with _folder(data) as folder:
        found = audit(LogFolder(folder))
        size = found.checkpoint.size
        leaves = leaf_hashes(list(LogFolder(folder).entries(0, size)))
        assert fold(leaves) == found.checkpoint.root == LogFolder(folder).hashes(size).root


def entries(data: bytes) -> None:
    """Entries stand in a bundle in one way, each has one spelling, and they are counted or refused."""
    width, packed = (data[0] if data else 0), data[1:]
    found = unpack_entries(packed, width)
    assert pack_entries(found) == packed
    read = [read_entry(entry) for entry in found]
    assert [entry_bytes(entry) for entry in read] == found
    rows(read)
