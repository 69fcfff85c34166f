"""The store: nothing half-written, nothing overwritten, damage noticed, two processes at once."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from launcher.errors import InfrastructureError, MalformedError
from launcher.store.attempts import begin_attempt, past_attempts
from launcher.store.bundles import copy_out, find_bundle, publish, require_empty
from launcher.store.cache import Cache
from launcher.store.closing import close_dead_attempts
from launcher.store.files import create_atomically, write_atomically, write_new
from launcher.store.home import Home, find_home
from launcher.store.journal import exclusive
from launcher.store.liveness import is_alive

DATA = os.urandom(1 << 20)
HEX = sha256(DATA).hexdigest()
LOCK = "sha256:" + "ab" * 32


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_cache_gives_back_what_was_put(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert cache.find(HEX) is None
    path = cache.put([DATA[:7], b"", DATA[7:]], HEX, what="it")
    assert (cache.find(HEX), path.read_bytes(), path.stat().st_mode & 0o777) == (path, DATA, 0o444)


@pytest.mark.parametrize("damage", [b"", DATA[:-1], DATA + b"x"])
def test_a_damaged_blob_is_thrown_away(tmp_path: Path, damage: bytes) -> None:
    cache = Cache(tmp_path)
    path = cache.put([DATA], HEX, what="it")
    path.unlink()
    path.write_bytes(damage)
    assert cache.find(HEX) is None
    assert not path.exists()


def test_a_blob_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def breaking() -> "object":
        yield DATA
        raise InfrastructureError("the line is dead", code="line-dead")

    cache = Cache(tmp_path)
    with pytest.raises(InfrastructureError, match="line"):
        cache.put(breaking(), HEX, what="it")  # type: ignore[arg-type]
    with pytest.raises(InfrastructureError, match="other bytes"):
        cache.put([DATA, b"x"], HEX, what="it")
    with pytest.raises(InfrastructureError, match="larger"):
        cache.put([DATA], HEX, what="it", limit=len(DATA) - 1)
    assert files_below(tmp_path) == []


PUT = """
import sys
from pathlib import Path
from launcher.store.cache import Cache
data = bytes.fromhex(sys.argv[3])
print(flush=True); sys.stdin.readline()
for _ in range(20):
    Cache(Path(sys.argv[1])).put([data] * 500, sys.argv[2], what="it")
    assert Cache(Path(sys.argv[1])).find(sys.argv[2])
"""


def test_two_processes_put_one_blob_at_once(tmp_path: Path) -> None:
    digest = sha256(DATA[:2000] * 500).hexdigest()
    command = [sys.executable, "-c", PUT, str(tmp_path), digest, DATA[:2000].hex()]
    writers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout
        writer.stdout.readline()
    for writer in writers:
        writer.communicate("go\n", timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert files_below(tmp_path) == [f"sha256/{digest[:2]}/{digest}"]


def test_an_atomic_write_replaces_all_or_nothing(tmp_path: Path, read_only: Callable[[Path], None]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    write_atomically(folder / "file", b"old")
    write_atomically(folder / "file", b"new", mode=0o600)
    assert ((folder / "file").read_bytes(), (folder / "file").stat().st_mode & 0o777) == (b"new", 0o600)
    (folder / "taken").mkdir()
    with pytest.raises(InfrastructureError, match="cannot write"):
        write_atomically(folder / "taken", b"no")
    read_only(folder)
    with pytest.raises(InfrastructureError, match="cannot write") as caught:
        write_atomically(folder / "file", b"no")
    assert caught.value.context == "Read-only file system"
    assert files_below(folder) == ["file"]


def test_a_file_is_created_whole_without_a_second_name(
    tmp_path: Path, read_only: Callable[[Path], None]
) -> None:
    create_atomically(tmp_path / "file", DATA)
    assert ((tmp_path / "file").read_bytes(), (tmp_path / "file").stat().st_nlink) == (DATA, 1)
    with pytest.raises(InfrastructureError, match="cannot write"):
        create_atomically(tmp_path / "file", b"other")
    (tmp_path / "disk").mkdir()
    read_only(tmp_path / "disk")
    with pytest.raises(InfrastructureError, match="cannot write"):
        create_atomically(tmp_path / "disk" / "file", DATA)
    assert files_below(tmp_path) == ["file"]


def test_a_new_file_never_replaces_or_follows(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("elsewhere")
    for name in ("there", "link"):
        with pytest.raises(InfrastructureError):
            write_new(tmp_path / name, b"other")
    assert (tmp_path / "there").read_bytes() == b"mine"
    assert not (tmp_path / "elsewhere").exists()


def bundle_in(folder: Path, text: str = "sums") -> Path:
    folder.mkdir(parents=True)
    (folder / "SHA256SUMS").write_text(text)
    return folder


def test_a_published_bundle_appears_whole_and_is_never_replaced(home: Home, tmp_path: Path) -> None:
    first = publish(home, bundle_in(tmp_path / "one"))
    (first / "mark").write_text("first")
    assert publish(home, bundle_in(tmp_path / "two")) == first
    assert (first / "mark").read_text() == "first"
    assert first.name == sha256(b"sums").hexdigest()


def test_a_bundle_is_found_by_path_digest_or_its_start(home: Home, tmp_path: Path) -> None:
    path = publish(home, bundle_in(tmp_path / "one"))
    for name in (str(path), path.name, f"sha256:{path.name}", path.name[:8], f"sha256:{path.name[:20]}"):
        assert find_bundle(home, name) == path
    for name in (path.name[:7], "0" * 64, "sha256:", "*" * 8, "../bundles/*"):
        with pytest.raises(MalformedError, match="there is no bundle"):
            find_bundle(home, name)
    (home.bundles / (path.name[:8] + "0" * 56)).mkdir()
    with pytest.raises(MalformedError) as caught:
        find_bundle(home, path.name[:8])
    assert "2 bundles" in str(caught.value.context)


def test_a_copy_is_whole_or_not_there(tmp_path: Path, read_only: Callable[[Path], None]) -> None:
    bundle = bundle_in(tmp_path / "bundle")
    (bundle / "logs").mkdir()
    (bundle / "logs" / "x").write_text("x")
    assert files_below(copy_out(bundle, tmp_path / "a" / "b")) == ["SHA256SUMS", "logs/x"]
    with pytest.raises(MalformedError):
        require_empty(tmp_path / "a")
    (tmp_path / "disk").mkdir()
    read_only(tmp_path / "disk")
    with pytest.raises(InfrastructureError, match="cannot copy"):
        copy_out(bundle, tmp_path / "disk" / "b")
    assert files_below(tmp_path / "disk") == []


def test_attempts_are_numbered_and_remembered(home: Home) -> None:
    for number in (1, 2, 3):
        with begin_attempt(home, LOCK, {"name": "a/b"}) as attempt:
            assert (attempt.number, attempt.staging.is_dir(), attempt.work.is_dir()) == (number, True, True)
            assert is_alive(home, attempt.invocation_id)
            attempt.record("finished", outcome="succeeded", bundle=None)
        assert not is_alive(home, attempt.invocation_id)
        assert not attempt.work.exists()
    assert [state["attempt"] for state in past_attempts(home, LOCK)] == [1, 2, 3]
    assert past_attempts(home, "sha256:" + "00" * 32) == []


HOLD = """
import sys, time
from pathlib import Path
from launcher.store.attempts import begin_attempt
from launcher.store.home import Home
with begin_attempt(Home(Path(sys.argv[1])), sys.argv[2], {}) as attempt:
    print(attempt.invocation_id, flush=True)
    time.sleep(60)
"""


def test_an_attempt_lives_exactly_as_long_as_its_process(home: Home) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home.root), LOCK], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    invocation_id = process.stdout.readline().strip()
    assert is_alive(home, invocation_id)
    assert close_dead_attempts(home) == []
    process.kill()
    process.communicate()
    assert not is_alive(home, invocation_id)
    assert close_dead_attempts(home) == [invocation_id]
    assert past_attempts(home, LOCK)[0]["outcome"] == "interrupted"


def test_one_launcher_holds_a_lock_and_the_other_hears_that_it_waits(home: Home) -> None:
    waiting, order = threading.Event(), []

    def second() -> None:
        with exclusive(home, LOCK, waiting.set):
            order.append("second")

    with exclusive(home, LOCK, lambda: order.append("waited")):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        with exclusive(home, "sha256:" + "cd" * 32, lambda: order.append("waited")):
            order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_home_that_cannot_be_written_is_said(tmp_path: Path, read_only: Callable[[Path], None]) -> None:
    (tmp_path / "home").mkdir()
    read_only(tmp_path / "home")
    home = Home(tmp_path / "home")
    with pytest.raises(InfrastructureError) as caught, exclusive(home, LOCK, lambda: None):
        pass
    assert (caught.value.code, "EVALCTL_HOME" in str(caught.value.hint)) == ("home-not-writable", True)


def test_the_home_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVALCTL_HOME", "relative")
    assert find_home().root == tmp_path / "relative"
    monkeypatch.setenv("EVALCTL_HOME", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert find_home().root == tmp_path / "data" / "evalctl"
    assert not (tmp_path / "data").exists()


def test_a_home_s_label_tells_homes_apart_and_nothing_else(tmp_path: Path) -> None:
    one, other = Home(tmp_path / "one"), Home(tmp_path / "other")
    assert one.label != other.label
    assert one.label == Home(tmp_path / "x" / ".." / "one").label
    assert len(one.label) == 16
