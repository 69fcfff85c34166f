"""Every package manager's own records are read: names, versions, licences, origins."""

import base64
import gzip
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from launcher.environment.packages import Gap, Inventory
from launcher.environment.sbom import package_url
from tests.image.makers import tar_member
from tests.inventory.images import SITE, image, layer, metadata, names, only

RPM = Path(__file__).parent / "rpm"
DEBIAN = {"etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'}


def binary(name: str, data: bytes) -> tuple[Any, bytes]:
    return tar_member(name), data


def read(folder: Path, files: dict[str, str], *members: Any) -> Inventory:
    return image(folder, layer(files, *members))[1]


def test_a_debian_package_has_its_source_its_licences_and_its_distribution(tmp_path: Path) -> None:
    status = (
        "Package: libgomp1\nStatus: install ok installed\nArchitecture: amd64\nSource: gcc-12 (12.2.0-13)\n"
        "Version: 1:12.2.0-14+deb12u1\nDescription: one\n two\n Version: no field\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
    )
    copyright_file = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        "Files: *\nCopyright: x\nLicense: GPL-3+\n text\n\nLicense: MIT\n text\n"
    )
    files = {**DEBIAN, "var/lib/dpkg/status": status, "usr/share/doc/libgomp1/copyright": copyright_file}
    package = only(read(tmp_path, files))
    assert (package.name, package.version) == ("libgomp1", "1:12.2.0-14+deb12u1")
    assert package.licences == ("GPL-3+", "MIT")
    assert dict(package.origin) == {"source-package": "gcc-12", "source-version": "12.2.0-13"}
    url = "pkg:deb/debian/libgomp1@1:12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"
    assert package_url(package) == url


def test_packages_of_an_image_without_a_package_manager_are_read_from_status_d(tmp_path: Path) -> None:
    files = {
        "var/lib/dpkg/status.d/a": "Package: a\nVersion: 1\n",
        "var/lib/dpkg/status.d/a.md5sums": "Package: b\nVersion: 1\n",
    }
    assert names(read(tmp_path, files)) == ["a"]


def test_rpms_own_sqlite_database_is_read(tmp_path: Path) -> None:
    database = gzip.decompress((RPM / "rpmdb.sqlite.gz").read_bytes())
    inventory = read(
        tmp_path,
        {"etc/os-release": "ID=fedora\nVERSION_ID=40\n"},
        binary("usr/lib/sysimage/rpm/rpmdb.sqlite", database),
    )
    assert inventory.gaps == ()
    alpha, beta = inventory.packages
    assert (
        package_url(alpha) == "pkg:rpm/fedora/alpha-tools@1.2.3-4.fc40?arch=noarch&distro=fedora-40&epoch=2"
    )
    assert alpha.licences == ("MIT AND (Apache-2.0 OR GPL-2.0-or-later)",)
    origin = dict(alpha.origin)
    assert (origin["source-package"], origin["vendor"]) == (
        "alpha-tools-1.2.3-4.fc40.src.rpm",
        "Example Project",
    )
    assert len(origin["header-sha256"]) == 64
    assert (beta.name, beta.version) == ("beta-libs", "0.9-4.fc40")


def test_an_rpm_database_whose_last_changes_are_beside_it_is_incomplete(tmp_path: Path) -> None:
    database = gzip.decompress((RPM / "rpmdb.sqlite.gz").read_bytes())
    place = "var/lib/rpm/rpmdb.sqlite"
    inventory = read(tmp_path, {f"{place}-wal": "changes"}, binary(place, database))
    assert [gap.path for gap in inventory.gaps] == [f"{place}-wal"]


def rpm_header(**fields: str) -> bytes:
    tags = {"name": 1000, "version": 1001, "release": 1002, "arch": 1022}
    index, store = b"", b""
    for name, text in fields.items():
        index += struct.pack(">iiii", tags[name], 6, len(store), 1)
        store += text.encode() + b"\0"
    return struct.pack(">II", len(fields), len(store)) + index + store


def ndb(*blobs: bytes) -> bytes:
    """Return an ndb database: a page of slots, then the records, in blocks of 16 bytes."""
    slots, records = struct.pack("<4sIII16x", b"RpmP", 0, 1, 1), b""
    for number, blob in enumerate(blobs, 1):
        start = (4096 + len(records)) // 16
        record = struct.pack("<4sIII", b"BlbS", number, 1, len(blob)) + blob
        record += bytes(-len(record) % 16)
        slots += struct.pack("<4sIII", b"Slot", number, start, len(record) // 16)
        records += record
    return slots.ljust(4096, b"\0") + records


def test_rpms_ndb_database_is_read(tmp_path: Path) -> None:
    data = ndb(
        rpm_header(name="zypper", version="1", release="2", arch="x86_64"),
        rpm_header(name="gpg-pubkey", version="1", release="2"),
    )
    package = only(read(tmp_path, {}, binary("usr/lib/sysimage/rpm/Packages.db", data)))
    assert (package.name, package.version, package.qualifiers) == ("zypper", "1-2", (("arch", "x86_64"),))


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\0\0\0\0\0\0\0\0\0\x61\x15\x06\0",
        b"SQLite format 3\0" + b"\xff" * 5000,
        ndb(b"\xff" * 40),
        ndb(rpm_header(name="x", version="1", release="1"))[:4100],
        b"RpmP",
    ],
    ids=["berkeley", "sqlite", "header", "torn", "short"],
)
def test_an_rpm_database_that_cannot_be_read_is_a_gap(tmp_path: Path, data: bytes) -> None:
    inventory = read(tmp_path, metadata("other"), binary("var/lib/rpm/Packages", data))
    assert names(inventory) == ["other"]
    assert [(gap.ecosystem, gap.path) for gap in inventory.gaps] == [("rpm", "var/lib/rpm/Packages")]


def test_what_apk_installed_is_read(tmp_path: Path) -> None:
    digest = hashlib.sha1(b"control").digest()
    checksum = f"Q1{base64.b64encode(digest).decode()}"
    installed = (
        f"C:{checksum}\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\no:musl\nc:abc123\nF:lib\n\nP:busybox\nV:1\n"
    )
    inventory = read(
        tmp_path, {"etc/os-release": "ID=alpine\nVERSION_ID=3.20\n", "lib/apk/db/installed": installed}
    )
    busybox, musl = inventory.packages
    assert package_url(musl) == "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20"
    assert (musl.licences, musl.hashes) == (("MIT",), (("SHA-1", digest.hex()),))
    assert (busybox.version, busybox.hashes) == ("1", ())


def test_a_wheel_has_its_licence_its_installer_and_where_it_came_from(tmp_path: Path) -> None:
    folder = f"{SITE}/Some_Thing-1.0.dist-info"
    direct = {
        "url": "https://user:secret@example.org/x.whl",
        "archive_info": {"hashes": {"sha256": "a" * 64}},
    }
    files = {
        **metadata("Some_Thing", more="License-Expression: MIT OR Apache-2.0\nLicense: old\n\nName: body\n"),
        f"{folder}/INSTALLER": "pip\n",
        f"{folder}/RECORD": "x,,\n",
        f"{folder}/direct_url.json": json.dumps(direct),
    }
    package = only(read(tmp_path, files))
    assert package_url(package) == "pkg:pypi/some-thing@1.0"
    assert (package.licences, package.is_expression) == (("MIT OR Apache-2.0",), True)
    assert dict(package.origin) == {
        "installer": "pip",
        "record-sha256": hashlib.sha256(b"x,,\n").hexdigest(),
    }
    assert (package.url, package.hashes) == ("https://example.org/x.whl", (("SHA-256", "a" * 64),))


def test_a_checkout_that_pip_installed_has_its_commit(tmp_path: Path) -> None:
    direct = {"url": "https://example.org/x.git", "vcs_info": {"vcs": "git", "commit_id": "c" * 40}}
    files = {**metadata("x"), f"{SITE}/x-1.0.dist-info/direct_url.json": json.dumps(direct)}
    assert dict(only(read(tmp_path, files)).origin)["commit"] == "c" * 40


def test_eggs_are_read_as_files_and_as_folders(tmp_path: Path) -> None:
    files = {
        f"{SITE}/one-1.egg-info": "Name: one\nVersion: 1\nClassifier: License :: Approved :: MIT License\n",
        f"{SITE}/two.egg-info/PKG-INFO": "Name: two\nVersion: 2\nLicense: BSD\n",
    }
    assert [(package.name, package.licences) for package in read(tmp_path, files).packages] == [
        ("one", ("MIT License",)),
        ("two", ("BSD",)),
    ]


def test_conda_packages_have_channel_build_and_hash(tmp_path: Path) -> None:
    record = {
        "name": "numpy",
        "version": "1.26.4",
        "build": "py311_0",
        "channel": "https://example.org/conda-forge",
        "subdir": "linux-64",
        "license": "BSD-3-Clause",
        "url": "https://example.org/conda-forge/linux-64/numpy.conda",
        "md5": "d" * 32,
    }
    package = only(read(tmp_path, {"opt/conda/conda-meta/numpy.json": json.dumps(record)}))
    assert package_url(package) == "pkg:conda/numpy@1.26.4?build=py311_0&channel=conda-forge&subdir=linux-64"
    assert (package.licences, package.hashes) == (("BSD-3-Clause",), (("MD5", "d" * 32),))


def test_npm_packages_are_read_with_what_the_lock_file_says(tmp_path: Path) -> None:
    digest = hashlib.sha512(b"x").digest()
    entry = {
        "resolved": "https://example.org/core.tgz",
        "integrity": f"sha512-{base64.b64encode(digest).decode()}",
    }
    root = "srv/app/node_modules"
    files = {
        f"{root}/@scope/core/package.json": '{"name": "@scope/core", "version": "7.0.1", "license": "MIT"}',
        f"{root}/@scope/core/lib/package.json": '{"type": "module"}',
        f"{root}/left/package.json": '{"type": "module"}',
        f"{root}/.package-lock.json": json.dumps({"packages": {"node_modules/@scope/core": entry}}),
    }
    inventory = read(tmp_path, files)
    package = only(inventory)
    assert package_url(package) == "pkg:npm/%40scope/core@7.0.1"
    assert (package.url, package.hashes) == (entry["resolved"], (("SHA-512", digest.hex()),))
    assert inventory.gaps == ()


def test_metadata_without_a_name_is_a_gap(tmp_path: Path) -> None:
    inventory = read(tmp_path, {f"{SITE}/x-1.dist-info/METADATA": "no metadata"})
    assert inventory.gaps == (
        Gap("pypi", f"{SITE}/x-1.dist-info/METADATA", "it names no package and version"),
    )


def test_texts_of_strangers_come_out_printable_and_short(tmp_path: Path) -> None:
    package = only(read(tmp_path, metadata("evil", more=f"License: \x1b[31mred{'x' * 500}\n")))
    assert package.licences[0].isprintable()
    assert len(package.licences[0]) == 100
