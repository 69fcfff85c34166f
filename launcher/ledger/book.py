"""The ledger of a home: its key, its log, and what they add up to.

The key stands with the home's others, not in the log's folder: that one may be given to anybody. The counts
beside it are only ever made of the log and save reading all of it.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from launcher.canonical import canonical_bytes, parse_json
from launcher.digest import sha256_hex
from launcher.errors import CheckFailedError, EvalctlError, InfrastructureError
from launcher.ledger.audit import own_key, refuse_fork
from launcher.ledger.checkpoint import Checkpoint, check_signature, cosigners, ledger_key
from launcher.ledger.consistency import Growth, prove_growth
from launcher.ledger.count import Counts, OpenAttempt
from launcher.ledger.entries import Attempt, Outcome, entry_bytes, read_entry
from launcher.ledger.folder import WITNESSED, LogFolder
from launcher.ledger.log import Disk, End, FileSystem, Log, damaged
from launcher.ledger.proof import Proof, make_proof
from launcher.ledger.witness import merged
from launcher.store.files import write_atomically
from launcher.store.home import Home, make_private
from launcher.store.journal import open_lock
from launcher.trust.key_files import load_signer, new_key
from launcher.trust.keys import Signer
from launcher.trust.notes import NoteKey

# How far the file of counts may fall behind the log.
_BEHIND: Final = 32


class Counted(Struct, frozen=True):
    """An attempt that stands in a ledger: where, as what, and how many count together with it so far."""

    origin: str
    index: int
    attempt: Attempt
    total: int


class Book(Struct, frozen=True):
    """The ledger of `home`."""

    home: Home
    disk: Disk = FileSystem()

    @property
    def path(self) -> Path:
        """The log's folder, which may be copied to anybody."""
        return self.home.root / "ledger"

    @property
    def key_path(self) -> Path:
        """The ledger's own private key."""
        return self.home.default_key.with_name("ledger")

    @property
    def folder(self) -> LogFolder:
        """The log as anybody sees it."""
        return LogFolder(self.path)

    @property
    def exists(self) -> bool:
        """Say whether anything was ever recorded here."""
        return self.path.is_dir()

    def record(self, attempt: Attempt) -> Counted:
        """Append an attempt, with its position, and return where it stands once it is on the disk.

        Raises `InfrastructureError` where that cannot be done.
        """
        with self._opened() as (log, _, end):
            counts = self._counts(log, end)
            placed = replace(attempt, position=1 + counts.total(attempt))
            log.append(end, entry_bytes(placed))
            self._keep(log.key.name, counts.added([placed]))
            return Counted(log.key.name, end.size, placed, placed.position)

    def seal(self) -> Checkpoint:
        """Sign what was recorded, and return the checkpoint."""
        with self._opened() as (log, signer, end):
            return log.seal(end, signer)

    def close(self, outcome: Callable[[OpenAttempt], Outcome | None]) -> list[Proof]:
        """Record the outcome of each open attempt of which `outcome` knows one; return their proofs."""
        if not self.exists:
            return []
        with self._opened() as (log, signer, end):
            counts = self._counts(log, end)
            found = [(each, made) for each in counts.open.values() if (made := outcome(each))]
            if not found:
                return []
            counts, new = counts.added(made for _, made in found), end
            for _, made in found:
                new = log.append(new, entry_bytes(made))
            self._keep(log.key.name, counts)
            checkpoint = log.seal(new, signer)
            shown = (checkpoint, log.folder.hashes(checkpoint.size))
            return [
                make_proof(self._attempt(log, each.index), made, end.size + at, shown)
                for at, (each, made) in enumerate(found)
            ]

    def total(self, attempt: Attempt) -> int:
        """Return how many attempts count together with `attempt`, itself included."""
        return self.counts().total(attempt)

    def prove(self, attempt: Attempt, outcome: Outcome, index: int) -> Proof:
        """Return a new proof of an outcome at `index`, under a witnessed checkpoint where that has it.

        Raises `InfrastructureError` where the log has another entry there, or other hashes than were signed.
        """
        checkpoint = self.seal()
        try:
            witnessed = checkpoint if _cosigned(checkpoint) else self.folder.checkpoint(WITNESSED)
            if witnessed is not None and index < witnessed.size:
                checkpoint = witnessed
            return make_proof(attempt, outcome, index, (checkpoint, self.folder.hashes(checkpoint.size)))
        except CheckFailedError as error:
            raise damaged(self.path, error.in_words) from error

    def find(self, digest: str) -> Proof | None:
        """Return the proof of the outcome that names a bundle's digest, None where there is none.

        Raises `InfrastructureError` for a damaged log.
        """
        size = self.seal().size
        try:
            return self._find(digest, size)
        except CheckFailedError as error:
            raise damaged(self.path, error.in_words) from error

    def _find(self, digest: str, size: int) -> Proof | None:
        named = digest.encode()
        for index, data in enumerate(self.folder.entries(0, size)):
            if named not in data:
                continue
            entry = read_entry(data)
            if isinstance(entry, Outcome) and entry.bundle == digest:
                attempt = read_entry(next(self.folder.entries(entry.index, entry.index + 1)))
                return self.prove(attempt, entry, index) if isinstance(attempt, Attempt) else None
        return None

    def growth(self, size: int) -> Growth:
        """Return the proof that the log began with its first `size` entries.

        Raises `CheckFailedError` where it never had so many, `InfrastructureError` for a damaged log.
        """
        checkpoint = self.seal()
        if size > checkpoint.size:
            return prove_growth(size, checkpoint, self.folder.hashes(0))
        try:
            return prove_growth(size, checkpoint, self.folder.hashes(checkpoint.size))
        except CheckFailedError as error:
            raise damaged(self.path, error.in_words) from error

    def add_cosigned(self, brought: Checkpoint, known: tuple[NoteKey, ...] = ()) -> Checkpoint:
        """Keep what a witness signed of this ledger, for later proofs; return it with what was kept before.

        Of witnesses with other names than ours those that are `known` count.

        Raises `CheckFailedError` for another ledger's checkpoint, and one that is not of this log's past.
        """
        now = self.seal()
        check_signature(brought, own_key(now))
        refuse_fork(brought, now, self.folder.hashes(now.size))
        if not cosigners(brought, known):
            raise CheckFailedError("nobody has co-signed the checkpoint", code="not-cosigned")
        kept = merged(self.folder.checkpoint(WITNESSED), brought)
        self.disk.write(self.path / WITNESSED, kept.data, durable=True)
        return kept

    def counts(self) -> Counts:
        """Return what all entries add up to."""
        with self._opened() as (log, _, end):
            return self._counts(log, end)

    @contextmanager
    def _opened(self) -> Iterator[tuple[Log, Signer, End]]:
        """Hold the ledger against other processes, and give its log, its key and where it ends."""
        make_private(self.home.root)
        with open_lock(self.home.root / "ledger.flock") as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            signer = self._signer()
            log = Log(self.folder, ledger_key(signer.public), self.disk)
            try:
                yield log, signer, log.read_end()
            except CheckFailedError as error:
                raise damaged(self.path, error.in_words) from error

    def _signer(self) -> Signer:
        """Return the ledger's key, made where the ledger is; a log whose key is gone gets no other."""
        try:
            if not self.key_path.exists():
                if self.exists and any(self.path.iterdir()):
                    raise damaged(self.path, f"its key `{self.key_path}` is missing")
                make_private(self.key_path.parent)
                new_key(self.key_path)
            make_private(self.path)
            return load_signer(self.key_path)
        except InfrastructureError:
            raise
        except (EvalctlError, OSError) as error:
            raise InfrastructureError(
                "the ledger's key cannot be read, so nothing can be recorded",
                code="ledger-key",
                context=error.in_words if isinstance(error, EvalctlError) else error.strerror,
                hint=f"bring back `{self.key_path}`",
            ) from error

    def _attempt(self, log: Log, index: int) -> Attempt:
        entry = read_entry(next(log.folder.entries(index, index + 1)))
        if not isinstance(entry, Attempt):
            raise CheckFailedError("an outcome in the ledger is of no attempt", code="bad-ledger")
        return entry

    @property
    def _counts_file(self) -> Path:
        return self.home.root / "ledger.counts"

    def _counts(self, log: Log, end: End) -> Counts:
        kept = self._read_counts(log.key.name)
        if kept.size > end.size:
            raise CheckFailedError(
                f"{kept.size} entries were here, and {end.size} are left", code="ledger-damaged"
            )
        return kept.added(map(read_entry, log.folder.entries(kept.size, end.size)))

    def _read_counts(self, origin: str) -> Counts:
        """Return the counts that were kept; another ledger's, or what a crash spoilt, count for nothing."""
        try:
            sha256, _, data = self._counts_file.read_bytes().partition(b"\n")
            if sha256_hex(data).encode() == sha256:
                kept = parse_json(data, what="the counts")
                return Counts.from_json(kept) if kept["origin"] == origin else Counts()
        except (OSError, EvalctlError, ValueError, KeyError, TypeError):
            pass
        return Counts()

    def _keep(self, origin: str, counts: Counts) -> None:
        # What is large is written less often: reading a few entries again costs less.
        behind = min(_BEHIND, 1 + (len(counts.groups) + len(counts.open)) // 64)
        if counts.size >= self._read_counts(origin).size + behind:
            data = canonical_bytes({"origin": origin, **counts.as_json()})
            write_atomically(self._counts_file, sha256_hex(data).encode() + b"\n" + data, durable=False)


def _cosigned(checkpoint: Checkpoint) -> bool:
    return checkpoint.note is not None and len(checkpoint.note.signatures) > 1
