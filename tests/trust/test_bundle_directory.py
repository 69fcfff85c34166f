import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.digest import sha256_hex, sums_text
from launcher.errors import CheckFailedError, MalformedError
from launcher.spec.bundle import (
    MAX_DEPTH,
    check_sums,
    co_signature,
    is_bundle_file,
    is_portable_name,
    reproduction_attestation,
    split_co_signature,
)
from launcher.store.directory import walk
from tests.trust.sealed_bundle import SUMS, sealed

FILES = sealed()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    root = tmp_path / "bundle"
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_a_bundle_is_listed_read_and_hashed(bundle: Path) -> None:
    before = open_descriptors()
    with walk(bundle) as inventory:
        assert set(inventory.files) == set(FILES)
        for name, data in FILES.items():
            assert inventory.files[name].size == len(data)
            assert inventory.read(name, 1 << 20) == data
            assert inventory.sha256(name) == sha256_hex(data)
    assert open_descriptors() == before


def test_a_bundle_may_be_named_through_a_link(bundle: Path) -> None:
    link = bundle.with_name("latest")
    link.symlink_to(bundle)
    with walk(link) as inventory:
        assert set(inventory.files) == set(FILES)


def test_no_such_path_and_no_directory_are_mistakes_of_the_command_line(bundle: Path) -> None:
    for path in (bundle / "none", bundle / "lock.json", Path("x\0y")):
        with pytest.raises(MalformedError) as caught:
            walk(path)
        assert caught.value.code == "no-such-bundle"


def replace_by(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(bundle: Path) -> None:
        (bundle / "lock.json").unlink()
        make(bundle / "lock.json")

    return change


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


INTRUDERS = {
    "link": (replace_by(lambda path: path.symlink_to("result.json")), "`lock.json` is a symbolic link"),
    "link to nowhere": (replace_by(lambda path: path.symlink_to("nowhere")), "symbolic link"),
    "fifo": (replace_by(os.mkfifo), "`lock.json` is a FIFO"),
    "socket": (replace_by(bind), "`lock.json` is a socket"),
    "folder": (replace_by(lambda path: path.mkdir()), "`lock.json`"),
    "hard link": (lambda root: (root / "logs/again").hardlink_to(root / "lock.json"), "hard link"),
    "hard link from outside": (
        lambda root: root.with_name("outside").hardlink_to(root / "lock.json"),
        "hard link",
    ),
    "linked folder": (lambda root: (root / "logs/d").symlink_to("/etc"), "`logs/d` is a symbolic link"),
    "missing": (replace_by(lambda path: None), "no `lock.json`"),
    "extra": (lambda root: (root / "notes.txt").write_text(""), "`notes.txt`"),
    "hidden": (lambda root: (root / "logs/.x").write_text(""), "`logs/.x`"),
    "extra folder": (lambda root: (root / "more").mkdir(), "`more`"),
    "empty folder": (lambda root: (root / "logs/empty").mkdir(), "`logs/empty` is empty"),
    "folder of attestations": (lambda root: (root / "attestations/x").mkdir(), "`attestations/x`"),
    "unknown attestation": (lambda root: (root / "attestations/x").write_text(""), "`attestations/x`"),
    "line feed": (lambda root: (root / "logs/a\nb").write_text(""), r"`logs/a\\nb`"),
    "escape sequence": (lambda root: (root / "logs/\x1b[2J").write_text(""), r"`logs/\\x1b\[2J`"),
    "no UTF-8": (lambda root: Path(os.fsdecode(bytes(root / "logs") + b"/\xff")).touch(), "logs"),
}


@pytest.mark.parametrize(("intrude", "message"), INTRUDERS.values(), ids=INTRUDERS.keys())
def test_what_a_bundle_cannot_hold_is_refused_and_named(
    bundle: Path, intrude: Callable[[Path], object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bundle)
    intrude(bundle)
    before = open_descriptors()
    with pytest.raises(CheckFailedError, match=message):
        walk(bundle)
    assert open_descriptors() == before


def test_a_tree_too_deep_is_refused(bundle: Path) -> None:
    deep = bundle / "logs" / "/".join(["d"] * MAX_DEPTH)
    deep.mkdir(parents=True)
    (deep / "x").touch()
    with pytest.raises(CheckFailedError):
        walk(bundle)


def test_a_file_beyond_the_readers_limit_is_refused(bundle: Path) -> None:
    with walk(bundle) as inventory, pytest.raises(CheckFailedError, match="bytes"):
        inventory.read("lock.json", 3)


SWAPS = {
    "another file": lambda path: (path.rename(path.with_name("away")), path.write_bytes(b"other")),
    "a link to the same file": lambda path: (
        path.rename(path.parent.parent / "away"),
        path.symlink_to("../away"),
    ),
    "a FIFO": lambda path: (path.unlink(), os.mkfifo(path)),
    "nothing": lambda path: path.unlink(),
    "a shorter file": lambda path: os.truncate(path, 3),
    "a longer file": lambda path: path.write_bytes(path.read_bytes() + b"x"),
}


@pytest.mark.parametrize("swap", SWAPS.values(), ids=SWAPS.keys())
def test_a_file_that_is_swapped_after_the_walk_is_refused(
    bundle: Path, swap: Callable[[Path], object]
) -> None:
    with walk(bundle) as inventory:
        swap(bundle / "logs/run-0.txt")
        with pytest.raises(CheckFailedError):
            inventory.read("logs/run-0.txt", 1 << 20)


def test_a_folder_that_is_swapped_for_a_link_is_refused(bundle: Path) -> None:
    with walk(bundle) as inventory:
        (bundle / "logs").rename(bundle.parent / "logs")
        (bundle / "logs").symlink_to(bundle.parent / "logs")
        with pytest.raises(CheckFailedError):
            inventory.read("logs/run-0.txt", 1 << 20)


@pytest.mark.parametrize("grow", [b"", b"x" * 10])
def test_a_file_that_changes_its_length_while_it_is_read_is_refused(bundle: Path, grow: bytes) -> None:
    path = bundle / "logs/run-0.txt"
    path.write_bytes(bytes(3 << 20))
    with walk(bundle) as inventory:
        chunks = inventory.chunks("logs/run-0.txt")
        next(chunks)
        os.truncate(path, 1 << 20 if not grow else 4 << 20)
        with pytest.raises(CheckFailedError, match="changed while it was read"):
            list(chunks)


def test_more_files_than_the_limit_are_refused(bundle: Path) -> None:
    before = open_descriptors()
    with pytest.raises(CheckFailedError, match="more than 5 files"):
        walk(bundle, max_files=5)
    assert open_descriptors() == before


PORTABLE = ["a", "A_1", "roc curve (2).png", "a-b+c=d@e,f", "x/" * 15 + "x", "_x", "nul-x"]
ODD = ["", "/", "a/", "/a", "a//b", ".", "..", "a/../b", ".a", "-a", "a.", "a ", " a", "a\\b", "a:b", "a\n"]
ODD += ["a\0", "é", "a\u200b", "\u212a", "CON", "nul.txt", "com1", "a" * 201, "x/" * 16 + "x", "a*", "a?"]
ODD += ['"', "$x", "a;b"]


@pytest.mark.parametrize("name", PORTABLE)
def test_a_portable_name_is_accepted(name: str) -> None:
    assert is_portable_name(name)


@pytest.mark.parametrize("name", ODD)
def test_a_name_that_is_not_portable_is_refused(name: str) -> None:
    assert not is_portable_name(name)


@given(st.text())
def test_a_bundle_file_is_always_portable_or_known(name: str) -> None:
    assert not is_bundle_file(name) or is_portable_name(name)


def test_the_names_of_later_attestations_are_bundle_files() -> None:
    reproduction = reproduction_attestation("sha256:" + "ab" * 32)
    signed = co_signature(reproduction, "cd" * 32)
    assert is_bundle_file(reproduction)
    assert is_bundle_file(signed)
    assert split_co_signature(signed) == (reproduction, "cd" * 32)
    assert split_co_signature(reproduction) is None
    assert not is_bundle_file(signed.replace("cd", "CD"))
    assert not is_bundle_file("attestations/reproduction-.sigstore.json")


DIGESTS = {name: sha256_hex(data) for name, data in FILES.items() if not name.startswith("attestations/")}
LINES = FILES[SUMS].splitlines(keepends=True)


def test_the_sums_of_the_files_are_accepted() -> None:
    check_sums(FILES[SUMS], DIGESTS)
    check_sums(FILES[SUMS], {name: sha256 for name, sha256 in DIGESTS.items() if name != SUMS})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"".join(LINES[1:]), "not listed"),
        (sums_text([*DIGESTS.items(), ("logs/z", "0" * 64)]), "listed in|not what|in the bundle"),
        (b"".join(reversed(LINES)), "out of order"),
        (b"".join([*LINES, LINES[-1]]), "twice"),
        (FILES[SUMS].replace(b"  ", b" *"), "line 1 of"),
        (FILES[SUMS].replace(b"\n", b"\r\n"), "line 1 of"),
        (FILES[SUMS].upper(), "line 1 of"),
        (FILES[SUMS][:-1], "line 11 of"),
        (b"0" * 64 + b"  ../../etc/passwd\n", "line 1 of"),
        (b"", "not listed"),
        (FILES[SUMS].replace(LINES[0][:64], b"0" * 64), "is not what SHA256SUMS says"),
    ],
)
def test_other_sums_are_refused_with_what_differs(data: bytes, message: str) -> None:
    with pytest.raises(CheckFailedError, match=message):
        check_sums(data, DIGESTS)


@given(st.binary())
def test_whatever_bytes_are_sums_only_our_error_is_raised(data: bytes) -> None:
    with pytest.raises(CheckFailedError):
        check_sums(data, DIGESTS)
