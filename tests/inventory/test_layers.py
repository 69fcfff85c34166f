"""Layers lie above each other as an engine would lay them, and hostile ones are bounded."""

import gzip
import tarfile
from pathlib import Path

import pytest

from launcher.errors import InfrastructureError
from launcher.inventory.layers import Budget, plain_path, read_layer
from tests.image.makers import tar_member, tar_of, text_file
from tests.inventory.images import SITE, image, layer, metadata, names


def test_what_a_whiteout_takes_away_is_not_listed(tmp_path: Path) -> None:
    lower = layer({**metadata("kept"), **metadata("gone")})
    upper = layer({f"{SITE}/.wh.gone-1.0.dist-info": ""})
    assert names(image(tmp_path, lower, upper)[1]) == ["kept"]


def test_an_opaque_folder_hides_what_was_below_it_but_not_what_comes_with_it(tmp_path: Path) -> None:
    lower = layer({**metadata("old"), "opt/venv/x-2.dist-info/METADATA": "Name: x\nVersion: 2\n"})
    upper = layer({f"{SITE}/.wh..wh..opq": "", **metadata("new")})
    assert names(image(tmp_path, lower, upper)[1]) == ["new", "x"]


def test_a_whiteout_of_a_parent_folder_takes_all_below_it(tmp_path: Path) -> None:
    assert names(image(tmp_path, layer(metadata("gone")), layer({"usr/.wh.lib": ""}))[1]) == []


def test_a_file_in_place_of_a_folder_takes_what_was_in_it(tmp_path: Path) -> None:
    assert names(image(tmp_path, layer(metadata("gone")), layer({SITE: "no folder"}))[1]) == []


def test_a_whiteout_does_not_touch_its_own_layer(tmp_path: Path) -> None:
    both = layer({f"{SITE}/.wh.a-1.0.dist-info": "", **metadata("a")})
    assert names(image(tmp_path, both)[1]) == ["a"]


def test_of_two_members_of_one_name_the_last_counts(tmp_path: Path) -> None:
    path = f"{SITE}/a-1.dist-info/METADATA"
    twice = tar_of(
        text_file(path, "Name: first\nVersion: 1\n"),
        text_file(f"./{path}", "Name: second\nVersion: 1\n"),
        compression="",
    )
    assert names(image(tmp_path, twice)[1]) == ["second"]


def test_links_to_files_of_interest_are_followed_within_the_image(tmp_path: Path) -> None:
    system = layer(
        {"usr/lib/os-release": "ID=debian\nVERSION_ID=12\n"},
        tar_member("etc/os-release", tarfile.SYMTYPE, link="../usr/lib/os-release"),
    )
    assert image(tmp_path, system)[1].system[:2] == ("debian", "12")


def test_links_in_a_circle_and_out_of_the_image_lead_nowhere(tmp_path: Path) -> None:
    round_about = layer(
        {},
        tar_member("etc/os-release", tarfile.SYMTYPE, link="/usr/lib/os-release"),
        tar_member("usr/lib/os-release", tarfile.SYMTYPE, link="/etc/os-release"),
        tar_member("var/lib/dpkg/status", tarfile.SYMTYPE, link="../../../../../../etc/passwd"),
    )
    inventory = image(tmp_path, round_about)[1]
    assert (inventory.system, inventory.packages) == (("", "", ""), ())


@pytest.mark.parametrize("name", ["../a", "a/../../b", "", ".", "a\n", "a\udcff"])
def test_a_name_outside_the_image_or_of_odd_bytes_is_no_path(name: str) -> None:
    assert plain_path(name) is None


def test_the_layer_that_brought_a_package_of_a_rewritten_database_is_told(tmp_path: Path) -> None:
    def status(*rows: tuple[str, str]) -> bytes:
        text = "\n".join(f"Package: {name}\nStatus: install ok installed\nVersion: {v}\n" for name, v in rows)
        return layer({"var/lib/dpkg/status": text})

    layers = [
        status(("a", "1"), ("b", "1")),
        status(("a", "1"), ("b", "2")),
        status(("a", "1"), ("b", "2"), ("c", "1")),
    ]
    pins, inventory = image(tmp_path, *layers)
    assert {package.name: pins.diff_ids.index(package.layer) for package in inventory.packages} == {
        "a": 0,
        "b": 1,
        "c": 2,
    }


def test_a_file_too_large_to_be_read_is_a_gap_and_the_rest_is_listed(tmp_path: Path) -> None:
    huge = layer({**metadata("small"), **metadata("large", more="x" * (3 << 20))})
    inventory = image(tmp_path, huge)[1]
    assert names(inventory) == ["small"]
    assert [(gap.ecosystem, gap.reason) for gap in inventory.gaps] == [
        ("pypi", "the file is too large to be read")
    ]


def test_files_that_are_too_many_or_too_large_together_are_gaps() -> None:
    data = layer({**metadata("a"), **metadata("b")})
    assert [held.fault for held in read_layer([data], Budget(held=1)).files.values()] == [
        "",
        "there are too many files to read",
    ]
    assert all(held.fault for held in read_layer([data], Budget(bytes=3)).files.values())


def test_a_layer_without_end_is_refused() -> None:
    with pytest.raises(InfrastructureError, match="too large"):
        read_layer((bytes(1 << 20) for _ in range(1 << 40)), Budget(tar=8 << 20))


def test_too_many_members_are_refused() -> None:
    with pytest.raises(InfrastructureError, match="too many members"):
        read_layer([layer({f"f{number}": "" for number in range(20)})], Budget(members=10))


@pytest.mark.parametrize(
    "data",
    [
        b"no tar" * 1000,
        layer(metadata("a"))[:700],
        gzip.compress(layer(metadata("a"))),
        tar_of(tar_member("x" * 99, tarfile.GNUTYPE_SPARSE), compression=""),
    ],
    ids=["text", "torn", "packed", "sparse"],
)
def test_what_is_no_tar_is_our_own_error_or_empty(data: bytes) -> None:
    try:
        layer_read = read_layer([data], Budget())
    except InfrastructureError as error:
        assert error.code == "image-malformed"
    else:
        assert all(held.fault or held.data is not None for held in layer_read.files.values())


def test_a_tar_may_come_in_pieces_of_any_size() -> None:
    data = layer({**metadata("a"), "pad": "x" * 5000, **metadata("b")})
    whole = read_layer([data], Budget()).files
    for size in (1, 511, 512, 513, 4096):
        pieces = (data[at : at + size] for at in range(0, len(data), size))
        assert read_layer(pieces, Budget()).files == whole
