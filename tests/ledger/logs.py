"""Small ledgers with keys that never change, and a disk that dies or forgets."""

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from launcher.ledger.book import Book
from launcher.ledger.checkpoint import ledger_key
from launcher.ledger.count import OpenAttempt
from launcher.ledger.entries import Attempt, Outcome
from launcher.ledger.folder import LogFolder
from launcher.ledger.log import FileSystem, Log
from launcher.spec.predicates import Suite
from launcher.store.home import Home
from tests.trust.sealed_bundle import ed25519_signer

SIGNER = ed25519_signer(7)
KEY = ledger_key(SIGNER.public)
ALICE = ed25519_signer(1).public.fingerprint
ATTEMPT = Attempt(
    lock="sha256:" + "ab" * 32,
    suite=Suite("acme/thirds", "1.0.0"),
    data=("11" * 32, "22" * 32),
    metrics={"accuracy@1": ("accuracy",), "f1@1": ("macro-f1", "micro-f1")},
    attempt=1,
    position=1,
    invocation_id="invocation-1",
    time="2026-11-20T11:00:00Z",
    signer=ALICE,
)


def outcome_of(attempt: Attempt, index: int, bundle: str = "cd" * 32) -> Outcome:
    return Outcome(
        index, attempt.sha256, "2026-11-20T11:01:00Z", "succeeded", None, "pass", f"sha256:{bundle}"
    )


def number(count: int) -> Attempt:
    return replace(ATTEMPT, attempt=count, invocation_id=f"invocation-{count}")


def log_at(folder: Path, disk: FileSystem | None = None) -> Log:
    folder.mkdir(exist_ok=True)
    return Log(LogFolder(folder), KEY, disk or FileSystem())


def book_at(root: Path) -> Book:
    return Book(Home(root))


def ended(entry: OpenAttempt) -> Outcome:
    return replace(outcome_of(ATTEMPT, entry.index), of=entry.of)


def three_attempts(root: Path, tell: Callable[[str], None]) -> None:
    """Record three attempts and their outcomes; tell of each once the ledger has said that it stands."""
    book = book_at(root)
    for count in range(1, 4):
        tell(f"attempt {book.record(number(count)).index}")
        for proof in book.close(ended):
            tell(f"outcome {proof.index}")


class DeadError(BaseException):
    """The machine lost its power here."""


class Crashing(FileSystem):
    """A disk that stops at the step `after`; then `power_cut` forgets what was not made durable."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.before: dict[Path, bytes | None] = {}

    def write(self, path: Path, data: bytes, *, durable: bool) -> None:
        self._step()
        if durable:
            self.before.pop(path, None)
        elif path not in self.before:
            self.before[path] = path.read_bytes() if path.exists() else None
        super().write(path, data, durable=durable)
        self._step()

    def remove(self, path: Path) -> None:
        self._step()
        super().remove(path)

    def power_cut(self) -> None:
        for path, data in self.before.items():
            if data is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(data)

    def _step(self) -> None:
        if self.left == 0:
            raise DeadError
        self.left -= 1
