"""Debian packages are unpacked without rights, and nothing in them reaches beyond the image."""

import contextlib
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.errors import InfrastructureError
from launcher.image.deb import unpack_deb
from launcher.image.tree import Spool, Tree
from tests.image.makers import ar_of, make_deb, tar_member, text_file


def unpack(data: bytes, keep=lambda path: True) -> tuple[Tree, Spool]:
    tree, spool = Tree(), Spool(io.BytesIO())
    unpack_deb(data, tree, spool, keep)
    return tree, spool


def text_at(tree: Tree, spool: Spool, path: str) -> str:
    node = tree.get(path)
    assert node is not None and node.extent is not None
    return spool.read(node.extent).decode()


@pytest.mark.parametrize("compression", ["xz", "gz"])
def test_files_folders_and_links_are_unpacked(compression: str) -> None:
    tree, spool = unpack(
        make_deb(
            tar_member("./usr", tarfile.DIRTYPE),
            text_file("./usr/a", "A"),
            tar_member("./usr/b", tarfile.LNKTYPE, link="./usr/a"),
            tar_member("./usr/c", tarfile.SYMTYPE, link="/etc/passwd"),
            compression=compression,
        )
    )
    assert text_at(tree, spool, "usr/a") == text_at(tree, spool, "usr/b") == "A"
    assert tree.nodes["usr/c"].target == "/etc/passwd"


def test_setuid_setgid_and_odd_modes_are_gone() -> None:
    tree, _ = unpack(
        make_deb(
            text_file("./usr/bin/su", mode=0o6755),
            text_file("./usr/bin/sg", mode=0o2711),
            text_file("./usr/data", mode=0o666),
            tar_member("./usr/mail", tarfile.DIRTYPE, mode=0o2775),
            tar_member("./tmp", tarfile.DIRTYPE, mode=0o1777),
        )
    )
    modes = {path: node.mode for path, node in tree.nodes.items()}
    assert modes["usr/bin/su"] == modes["usr/bin/sg"] == modes["usr/mail"] == 0o755
    assert modes["usr/data"] == 0o644
    assert modes["tmp"] == 0o1777


def test_bin_and_lib_go_under_usr() -> None:
    tree, _ = unpack(make_deb(text_file("./bin/sh"), text_file("./lib64/ld.so"), text_file("./library")))
    assert {"usr/bin/sh", "usr/lib64/ld.so", "library"} <= set(tree.nodes)


def test_the_package_database_is_kept_without_sums_of_what_is_left_out() -> None:
    data = make_deb(
        text_file("./usr/a"), text_file("./usr/doc"), md5sums="00  usr/a\n11  usr/doc\n", name="tiny"
    )
    tree, spool = unpack(data, keep=lambda path: path != "usr/doc")
    assert "usr/doc" not in tree.nodes
    assert text_at(tree, spool, "var/lib/dpkg/status.d/tiny").startswith("Package: tiny\n")
    assert text_at(tree, spool, "var/lib/dpkg/status.d/tiny.md5sums") == "00  usr/a\n"


@pytest.mark.parametrize(
    "member",
    [
        text_file("../outside"),
        text_file("./usr/../../outside"),
        text_file("/etc/passwd"),
        text_file("./a//b"),
        tar_member("./dev/null", tarfile.CHRTYPE),
        tar_member("./dev/sda", tarfile.BLKTYPE),
        tar_member("./pipe", tarfile.FIFOTYPE),
        tar_member("./hard", tarfile.LNKTYPE, link="../../etc/shadow"),
        tar_member("./hard", tarfile.LNKTYPE, link="./missing"),
    ],
    ids=repr,
)
def test_what_leaves_the_image_or_is_special_is_refused(member: object) -> None:
    with pytest.raises(InfrastructureError):
        unpack(make_deb(member))


def test_a_file_below_a_link_is_refused() -> None:
    with pytest.raises(InfrastructureError, match="is a symlink"):
        unpack(make_deb(tar_member("./etc", tarfile.SYMTYPE, link="/tmp"), text_file("./etc/passwd")))


def test_two_packages_with_one_file_are_refused() -> None:
    with pytest.raises(InfrastructureError, match="two packages"):
        unpack(make_deb(text_file("./a"), text_file("./a")))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"!<arch>\n",
        ar_of(("debian-binary", b"2.0\n")),
        ar_of(("debian-binary", b"3.0\n"), ("control.tar.xz", b""), ("data.tar.xz", b"")),
        ar_of(("debian-binary", b"2.0\n"), ("control.tar.zst", b""), ("data.tar.zst", b"")),
        ar_of(("debian-binary", b"2.0\n"), ("control.tar.xz", b"junk"), ("data.tar.xz", b"junk")),
        make_deb(text_file("./a"))[:-100],
        make_deb(text_file("./a"), name="../evil"),
    ],
)
def test_a_malformed_package_is_a_clear_error(data: bytes) -> None:
    with pytest.raises(InfrastructureError) as caught:
        unpack(data)
    assert caught.value.code == "package-malformed"


WHOLE = make_deb(text_file("./usr/a", "A" * 100), md5sums="00  usr/a\n", compression="gz")


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_package_with_any_byte_changed_unpacks_or_is_refused(at: int, value: int) -> None:
    with contextlib.suppress(InfrastructureError):
        unpack(WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :])
