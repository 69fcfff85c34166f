"""Killed at any step, a full disk, a read-only home, a clock that goes back: unfinished, never a gap."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from launcher.errors import InfrastructureError
from launcher.ledger.audit import audit
from launcher.ledger.book import Book
from launcher.ledger.log import FileSystem
from launcher.store.home import Home
from tests.fakes.engine import World as Inside
from tests.fakes.world import SmallWorld, answer
from tests.ledger.logs import book_at, ended, number

# What writes or makes lasting: before each call of one of these the process may be killed.
STEPS = """
import os, signal, sys
from pathlib import Path

left = int(sys.argv[2])
root = Path(sys.argv[1])

def killing(name):
    real = getattr(os, name)
    def call(*arguments, **options):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return real(*arguments, **options)
    setattr(os, name, call)

from tests.ledger.logs import three_attempts
for name in ("open", "fsync", "rename", "mkdir", "unlink", "write", "link", "rmdir"):
    killing(name)
three_attempts(root, lambda text: print(text, flush=True))
"""


def whole(root: Path) -> list[tuple[int, str | None]]:
    """Audit what is there, after whatever was left undone, and return each attempt with its outcome."""
    book = book_at(root)
    book.seal()
    rows = audit(book.folder).rows
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    return [(row.attempt.attempt, row.outcome.status if row.outcome else None) for row in rows]


def test_killed_before_any_write_it_keeps_what_it_said_and_is_whole(tmp_path: Path) -> None:
    """`kill -9` in front of every call that writes: what was acknowledged stands, in order, and goes on."""
    calls = count_calls(tmp_path / "counted")
    assert calls > 60
    chosen = range(0, calls, max(1, calls // 14))
    running = [(step, start(tmp_path / f"{step}", step)) for step in chosen]
    for step, process in running:
        root = tmp_path / f"{step}"
        out, _ = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, step
        said = out.decode().split()
        attempts, outcomes = said.count("attempt"), said.count("outcome")
        if not (root / "ledger").is_dir() or not any((root / "ledger").iterdir()):
            assert attempts == 0
            continue
        rows = whole(root)
        assert attempts <= len(rows) <= attempts + 1
        done = [status for _, status in rows if status]
        assert outcomes <= len(done) <= outcomes + 1
        assert all(status is None for _, status in rows[len(done) :]), "unfinished, never a gap"
        book_at(root).record(number(99))
        assert whole(root)[-1] == (99, None)


def start(root: Path, step: int) -> "subprocess.Popen[bytes]":
    root.mkdir()
    return subprocess.Popen(
        [sys.executable, "-c", STEPS, root, str(step)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def count_calls(root: Path) -> int:
    """How many calls there are in all: with so many allowed, nothing is killed."""
    high = 1000
    process = start(root, high)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error.decode()
    assert out.decode().split().count("outcome") == 3
    script = STEPS + "\nprint(left, flush=True)\n"
    again = root.with_name("again")
    again.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script, again, str(high)], capture_output=True, check=True, timeout=120
    )
    return high - int(done.stdout.split()[-1])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_refuses_the_attempt_and_spoils_nothing(disk: Path) -> None:
    book = book_at(disk / "home")
    for count in range(1, 21):
        book.record(number(count))
    before = book.seal()
    filler = disk / "filler"
    refused = 0
    for room in (0, 4096, 8192, 12288, 16384, 20480, 32768):
        filler.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - room)))
        try:
            book.record(number(21 + refused))
            book.seal()
        except InfrastructureError as error:
            assert error.exit_status == 4
            assert "space" in f"{error.context} {error.hint}"
            refused += 1
        filler.unlink()
        rows = whole(disk / "home")
        assert len(rows) >= before.size
        assert not list((disk / "home").rglob(".*.[0-9]*")), "no temporary file is left"
    assert refused
    book.record(number(99))
    assert whole(disk / "home")[-1] == (99, None)


def test_a_home_that_cannot_be_written_launches_nothing(
    world: SmallWorld, read_only: Callable[[Path], None]
) -> None:
    world.launch()
    read_only(Book(world.home).path)
    world.engine.tasks.clear()
    with pytest.raises(InfrastructureError) as caught:
        world.launch(rerun=True)
    assert caught.value.exit_status == 4
    assert world.engine.tasks == []
    assert len(whole(world.home.root)) == 1


def test_a_ledger_on_another_file_system_than_the_home_is_one(disk: Path, world: SmallWorld) -> None:
    """A home may have its ledger linked to a shared disk: temporary files stand beside what they become."""
    (disk / "ledger").mkdir()
    (world.home.root / "ledger").symlink_to(disk / "ledger")
    bundle = world.launch().bundle
    assert world.verify(bundle).verdict == "verified"
    assert whole(world.home.root) == [(1, "succeeded")]
    assert (disk / "ledger" / "checkpoint").is_file()


def test_a_clock_that_goes_back_changes_no_order(tmp_path: Path) -> None:
    book = book_at(tmp_path)
    for count, time in enumerate(("2026-11-20T11:00:00Z", "2026-11-20T10:00:00Z", "1970-01-01T00:00:00Z"), 1):
        book.record(replace(number(count), time=time))
    book.close(lambda entry: replace(ended(entry), time="1999-12-31T23:59:59Z"))
    assert [attempt for attempt, _ in whole(tmp_path)] == [1, 2, 3]


def test_two_launches_at_the_same_time_are_two_attempts(world: SmallWorld) -> None:
    """Two locks of one blueprint, the second launched while the first one's container runs."""
    inner: list[int] = []

    def launch_another(inside: Inside) -> int:
        if not inner:
            inner.append(1)
            world.plays(answer, "other")
            world.launch(sections={"run": 'command = ["other"]'})
        return answer(inside)

    world.plays(launch_another)
    world.launch()
    assert [status for _, status in whole(world.home.root)] == ["succeeded", "succeeded"]
    rows = audit(Book(world.home).folder).rows
    assert [(row.position, row.total) for row in rows] == [(1, 2), (2, 2)]
    assert [row.index for row in rows] == [0, 1], "the second was recorded before the first had its outcome"


class Torn(FileSystem):
    """A disk that keeps half of what was not yet made durable when the power went."""

    def __init__(self) -> None:
        self.loose: dict[Path, bytes] = {}

    def write(self, path: Path, data: bytes, *, durable: bool) -> None:
        super().write(path, data, durable=durable)
        self.loose.pop(path, None)
        if not durable:
            self.loose[path] = data

    def tear(self) -> None:
        for path, data in self.loose.items():
            if path.exists():
                path.write_bytes(data[: len(data) // 2])


def test_torn_writes_of_what_was_not_durable_are_made_up_for(tmp_path: Path) -> None:
    for attempts in (1, 3, 20):
        root = tmp_path / f"{attempts}"
        disk = Torn()
        book = Book(Home(root), disk)
        for count in range(1, attempts + 1):
            book.record(number(count))
            book.seal()
        sealed = book.seal()
        disk.tear()
        assert len(whole(root)) == attempts
        again = book_at(root).seal()
        assert (again.size, again.root) == (sealed.size, sealed.root)
        assert len(book_at(root).close(ended)) == attempts
        assert {status for _, status in whole(root)} == {"succeeded"}


def test_what_remembers_the_counts_is_only_a_copy(tmp_path: Path) -> None:
    book = book_at(tmp_path)
    for count in range(1, 4):
        book.record(number(count))
    for spoilt in (b"", b"odd", os.urandom(64)):
        (tmp_path / "ledger.counts").write_bytes(spoilt)
        assert book_at(tmp_path).total(number(1)) == 3
