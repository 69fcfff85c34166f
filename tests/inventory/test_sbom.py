"""The bill of materials is valid CycloneDX 1.6, the same bytes each time, and honest about what it lacks."""

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from packageurl import PackageURL

from launcher.environment.packages import Gap, Inventory, Package
from launcher.environment.sbom import empty_sbom_bytes, package_url, sbom_bytes
from launcher.environment.sbom_reading import check_sbom, listed_packages
from launcher.errors import CheckFailedError, EvalctlError
from launcher.inventory.texts import tidy, tidy_url
from launcher.spec.image import PLATFORM, ImagePins
from tests.inventory.images import SITE, image, layer, metadata, sbom_of

STRICT = JsonStrictValidator(SchemaVersion.V1_6)
DIGEST = "sha256:" + "1" * 64
PINS = ImagePins(None, DIGEST, "sha256:" + "2" * 64, ("sha256:" + "3" * 64,), PLATFORM)


def is_valid(data: bytes) -> bool:
    """Say what CycloneDX's own schema, with its formats, says."""
    found = STRICT.validate_str(data.decode())
    assert found is None, found
    return True


def inventory(*packages: Package, gaps: tuple[Gap, ...] = ()) -> Inventory:
    return Inventory(("debian", "12", "Debian"), packages, gaps, ())


def document(data: bytes) -> Any:
    return json.loads(data)


def test_a_bill_of_every_ecosystem_is_strictly_valid() -> None:
    full = Package(
        "pypi",
        "numpy",
        "2.4.6",
        f"{SITE}/numpy-2.4.6.dist-info/METADATA",
        PINS.diff_ids[0],
        licences=("MIT AND BSD-3-Clause",),
        is_expression=True,
        origin=(("installer", "pip"),),
        url="https://example.org/numpy.whl",
        hashes=(("SHA-256", "a" * 64), ("MD5", "b" * 32)),
    )
    others = [
        Package(
            "deb",
            "libc6",
            "2.36-9+deb12u13",
            "var/lib/dpkg/status",
            PINS.diff_ids[0],
            "debian",
            licences=("GPL-2", "LGPL-2.1"),
        ),
        Package(
            "rpm", "bash", "5.2-1", "var/lib/rpm/rpmdb.sqlite", PINS.diff_ids[0], "fedora", (("epoch", "1"),)
        ),
        Package(
            "apk",
            "musl",
            "1.2",
            "lib/apk/db/installed",
            PINS.diff_ids[0],
            "alpine",
            hashes=(("SHA-1", "c" * 40),),
        ),
        Package(
            "conda", "blas", "1.0", "conda-meta/blas.json", PINS.diff_ids[0], qualifiers=(("build", "mkl"),)
        ),
        Package("npm", "core", "7", "node_modules/@a/core/package.json", PINS.diff_ids[0], "@a"),
    ]
    data = sbom_bytes(PINS, inventory(full, *others, gaps=(Gap("rpm", "var/lib/rpm/Packages", "no"),)))
    assert is_valid(data)
    check_sbom(data, PINS)
    assert {(each.ecosystem, each.count, each.is_complete) for each in listed_packages(data)} == {
        ("deb", 1, True),
        ("rpm", 1, False),
        ("apk", 1, True),
        ("conda", 1, True),
        ("pypi", 1, True),
        ("npm", 1, True),
    }


def test_bills_without_an_image_or_without_its_contents_are_valid_and_claim_nothing() -> None:
    unread = sbom_bytes(PINS, None, "its layers were not at hand")
    assert is_valid(unread)
    assert is_valid(empty_sbom_bytes())
    check_sbom(unread, PINS)
    assert document(unread)["compositions"][0]["aggregate"] == "unknown"
    assert {"name": "evalctl:unread", "value": "its layers were not at hand"} in document(unread)["metadata"][
        "component"
    ]["properties"]
    assert listed_packages(unread) == listed_packages(empty_sbom_bytes()) == ()


def test_an_image_without_packages_has_an_empty_valid_bill(tmp_path: Path) -> None:
    data = sbom_of(tmp_path, layer({"hello": "hi"}))
    assert is_valid(data)
    assert document(data)["components"] == []


def test_the_same_image_gives_the_same_bytes_wherever_its_layout_is(tmp_path: Path) -> None:
    layers = layer(metadata("a")), layer(metadata("b"))
    first = sbom_of(tmp_path / "one", *layers)
    assert first == sbom_of(tmp_path / "two", *layers)
    assert str(tmp_path).encode() not in first


def test_two_packages_of_one_name_and_version_are_both_listed(tmp_path: Path) -> None:
    again = {
        f"opt/venv/{path.rpartition('/')[0].rpartition('/')[2]}/METADATA": text
        for path, text in metadata("a").items()
    }
    data = sbom_of(tmp_path, layer({**metadata("a"), **again}))
    assert is_valid(data)
    places = [each["evidence"]["occurrences"][0]["location"] for each in document(data)["components"][1:]]
    assert len(places) == len({*places}) == 2


def test_a_list_with_a_gap_is_incomplete_and_says_what_was_not_read(tmp_path: Path) -> None:
    data = sbom_of(tmp_path, layer({**metadata("a"), f"{SITE}/b-1.dist-info/METADATA": "?"}))
    assert is_valid(data)
    assert [(each.count, each.is_complete) for each in listed_packages(data)] == [(1, False)]
    assert b"b-1.dist-info/METADATA: it names no package" in data


@given(
    st.text(min_size=1, max_size=40),
    st.text(max_size=40),
    st.text(max_size=60),
    st.sampled_from(["deb", "rpm", "apk", "conda", "pypi", "npm"]),
)
@settings(max_examples=60, deadline=None)
def test_whatever_strangers_wrote_the_bill_is_valid(
    name: str, version: str, url: str, ecosystem: Any
) -> None:
    package = Package(
        ecosystem,
        tidy(name) or "x",
        tidy(version),
        "some/path",
        PINS.diff_ids[0],
        licences=(tidy(url),) if tidy(url) else (),
        url=tidy_url(f"https://{url}"),
    )
    data = sbom_bytes(PINS, inventory(package))
    assert is_valid(data)
    check_sbom(data, PINS)


@pytest.mark.parametrize(
    "package",
    [
        Package("deb", "g++-12", "1:2~rc1+b1", "p", namespace="debian", qualifiers=(("arch", "amd64"),)),
        Package("npm", "core", "1.0.0", "p", namespace="@babel"),
        Package("pypi", "Zope_Interface", "1!2.0+local.1", "p"),
        Package("conda", "x", "1", "p", qualifiers=(("channel", "a/b"),)),
    ],
    ids=lambda package: package.name,
)
def test_a_package_url_is_one_for_the_reference_implementation(package: Package) -> None:
    read = PackageURL.from_string(package_url(package))
    assert (read.type, read.version) == (package.ecosystem, package.version)
    assert read.qualifiers == dict(package.qualifiers)
    assert read.to_string() == package_url(package)


@given(st.binary(max_size=300))
def test_a_strangers_bytes_are_refused_with_our_own_error(data: bytes) -> None:
    with pytest.raises(EvalctlError):
        check_sbom(data, PINS)


def test_a_bill_of_another_image_is_refused() -> None:
    data = sbom_bytes(PINS, inventory())
    other = ImagePins(None, "sha256:" + "9" * 64, PINS.config, PINS.diff_ids, PLATFORM)
    with pytest.raises(CheckFailedError, match="not the image's"):
        check_sbom(data, other)


@pytest.mark.parametrize("key", ["metadata", "components", "dependencies", "compositions", "serialNumber"])
@pytest.mark.parametrize("value", [None, [], {}, "x", [None], [{}], 1])
def test_a_bill_with_a_part_of_another_type_is_refused_or_read(tmp_path: Path, key: str, value: Any) -> None:
    from launcher.canonical import canonical_bytes

    pins, found = image(tmp_path, layer(metadata("a")))
    changed = {**document(sbom_bytes(pins, found)), key: value}
    for read in (lambda data: check_sbom(data, pins), listed_packages):
        try:
            read(canonical_bytes(changed) + b"\n")
        except EvalctlError as error:
            assert error.code == "bad-sbom"
