"""Whoever makes an image writes its databases: none of them costs more than time and memory in bounds."""

import gzip
import json
import sqlite3
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from launcher.environment.packages import Gap
from launcher.errors import InfrastructureError, MalformedError
from launcher.inventory.layers import Budget, plain_path, read_layer
from launcher.inventory.read import read_inventory
from launcher.inventory.rpm import rpm_packages
from tests.image.makers import tar_member
from tests.inventory.images import SITE, layer

MIB = 1 << 20
ENDLESS = (
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
    "SELECT zeroblob(9) AS blob, x AS hnum FROM c"
)


@contextmanager
def within(most: int) -> Iterator[None]:
    """Hold the block to so many bytes of Python's own memory."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def database(script: str) -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.executescript(script)
    data = connection.serialize()
    connection.close()
    return data


@pytest.mark.parametrize(
    "script",
    [
        f"CREATE VIEW Packages AS {ENDLESS}",
        f"CREATE VIEW packages AS {ENDLESS}",
        "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob GENERATED ALWAYS AS (zeroblob(900000000)));"
        "INSERT INTO Packages (hnum) VALUES (1), (2)",
        "CREATE VIRTUAL TABLE Packages USING fts5 (hnum, blob)",
    ],
    ids=["view", "lower-case", "generated", "virtual"],
)
def test_an_rpm_database_that_computes_its_packages_is_refused(script: str) -> None:
    with pytest.raises(MalformedError, match="computed"):
        list(rpm_packages(database(script), "rpmdb.sqlite"))


def test_the_real_rpm_database_is_no_computed_one() -> None:
    data = gzip.decompress((Path(__file__).parent / "rpm" / "rpmdb.sqlite.gz").read_bytes())
    assert list(rpm_packages(data, "rpmdb.sqlite"))


def test_thousands_of_fields_of_an_rpm_header_may_not_share_one_long_text() -> None:
    store = b"A" * (2 * MIB) + b"\0"
    fields = b"".join(struct.pack(">iiii", tag, 6, 0, 1) for tag in range(4096))
    data = database("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
    connection = sqlite3.connect(":memory:")
    connection.deserialize(data)
    connection.execute(
        "INSERT INTO Packages VALUES (1, ?)", (struct.pack(">II", 4096, len(store)) + fields + store,)
    )
    connection.commit()
    with within(30 * MIB), pytest.raises(MalformedError):
        list(rpm_packages(connection.serialize(), "rpmdb.sqlite"))


def test_thousands_of_slots_of_an_ndb_may_not_share_one_record() -> None:
    blob = struct.pack(">II", 0, MIB) + bytes(MIB)
    slots = struct.pack("<4sIII", b"RpmP", 0, 0, 16) + bytes(16)
    slots += struct.pack("<4sIII", b"Slot", 1, 4096, 0) * 4000
    data = slots.ljust(4096 * 16, b"\0") + struct.pack("<4sIII", b"BlbS", 1, 1, len(blob)) + blob
    with within(8 * MIB), pytest.raises(MalformedError, match="several in one place"):
        list(rpm_packages(data, "Packages.db"))


# A file, what it holds, and how many times its bytes reading it may take.
BOMBS = {
    "status": ("var/lib/dpkg/status", "a:b\n\n" * 60_000, 20),
    "status-fields": ("var/lib/dpkg/status", "".join(f"f{number}:\n" for number in range(40_000)), 20),
    "apk": ("lib/apk/db/installed", "P:\n\n" * 60_000, 20),
    "f-string": (f"{SITE}/torch/version.py", "x=f'" + "{a}" * 80_000 + "'", 20),
    "zeros": (f"{SITE}/numpy/__config__.py", "x=[" + "0," * 20_000 + "]", 700),
    "statements": ("usr/lib/_sysconfigdata_x.py", "a=0;" * 200_000, 20),
    "nested": ("usr/lib/_sysconfigdata_x.py", "x=" + "(" * 200_000, 20),
    "lock": ("usr/node_modules/.package-lock.json", f'{{"packages": {{"a": [{"[]," * 3_000_000}[]]}}}}', 5),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_file_that_swells_when_it_is_read_stays_in_bounds(bomb: str) -> None:
    name, text, times = BOMBS[bomb]
    image = layer({name: text})
    with within(times * len(text) + MIB):
        assert read_inventory([("sha256:1", [image])]).packages == ()


def test_a_database_of_more_packages_than_any_is_a_gap() -> None:
    status = "Package: a\nVersion: 1\n\n" * 60_000
    inventory = read_inventory([("sha256:1", [layer({"var/lib/dpkg/status": status})])])
    assert inventory.gaps == (Gap("deb", "var/lib/dpkg/status", "it lists more than 50000 packages"),)


def test_thousands_of_packages_that_share_a_copyright_file_read_it_once(tmp_path: Path) -> None:
    text = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        + "License: MIT\n\n" * 60_000
    )
    status = "".join(f"Package: p{number}\nVersion: 1\n\n" for number in range(2000))
    links = []
    for number in range(2000):
        member = tar_member(f"usr/share/doc/p{number}", b"2")
        member.linkname = "a"
        links.append((member, b""))
    files = {"usr/share/doc/a/copyright": text, "var/lib/dpkg/status": status}
    inventory = read_inventory([("sha256:1", [layer(files, *links)])])
    assert {package.licences for package in inventory.packages} == {("MIT",)}


@pytest.mark.parametrize("name", ["a/" * 101 + "METADATA", "x" * 4097])
def test_a_path_deeper_or_longer_than_any_is_no_path(name: str) -> None:
    assert plain_path(name) is None


def test_names_that_are_too_long_together_are_refused() -> None:
    with pytest.raises(InfrastructureError, match="names"):
        read_layer([layer({f"a{number}": "" for number in range(20)})], Budget(names=30))


def test_a_lock_file_of_npm_tells_only_of_what_is_there() -> None:
    packages = {f"node_modules/p{number}": {"resolved": "https://x.example/p"} for number in range(1000)}
    files = {
        "usr/node_modules/.package-lock.json": json.dumps({"packages": packages}),
        "usr/node_modules/p1/package.json": json.dumps({"name": "p1", "version": "1"}),
    }
    (package,) = read_inventory([("sha256:1", [layer(files)])]).packages
    assert package.url == "https://x.example/p"
