"""The bill of materials of a real image names all that its own tools name when it runs."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from launcher.engines.docker_archive import load_image
from launcher.environment.packages import Inventory
from launcher.environment.sbom import sbom_bytes
from launcher.inventory.kept import exported_inventory, layout_inventory
from launcher.sources.layout import open_only_image
from launcher.spec.image import PLATFORM, ImagePins

pytestmark = [pytest.mark.engine, pytest.mark.image, pytest.mark.slow, pytest.mark.timeout(300)]

LAYOUT = Path(__file__).resolve().parents[2] / "images/eval-python/layout"
# What the image's own Python says is installed; its one argument is an importable name.
LISTED = """
import importlib.metadata, json, pathlib, re, numpy
control = {}
for path in pathlib.Path("/var/lib/dpkg/status.d").iterdir():
    fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", path.read_text(), re.M))
    if not path.name.endswith(".md5sums"):
        control[fields["Package"]] = fields["Version"]
installed = {each.name: each.version for each in importlib.metadata.distributions()}
blas = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]["version"]
print(json.dumps({"deb": control, "pypi": installed, "blas": blas}))
"""


@pytest.fixture(scope="module")
def real() -> tuple[ImagePins, Inventory]:
    if not (LAYOUT / "index.json").is_file():
        pytest.skip("images/eval-python is not built: make setup")
    layout, pins = open_only_image(LAYOUT, PLATFORM)
    return pins, layout_inventory(layout, pins)


@pytest.fixture(scope="module")
def inside(real: tuple[ImagePins, Inventory]) -> Any:
    """Return what the running image lists of itself."""
    with_engine = docker.APIClient(version="auto", timeout=120)
    identifier = load_image(with_engine, *open_only_image(LAYOUT, PLATFORM)).id
    command = [
        "docker",
        "run",
        "--rm",
        "--network=none",
        "--entrypoint=",
        identifier,
        "python3.11",
        "-c",
        LISTED,
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(ran.stdout)


@pytest.mark.parametrize("ecosystem", ["deb", "pypi"])
def test_every_package_that_the_image_lists_is_named_with_its_version(
    real: tuple[ImagePins, Inventory], inside: Any, ecosystem: str
) -> None:
    packages = [package for package in real[1].packages if package.ecosystem == ecosystem]
    assert {package.name: package.version for package in packages} == inside[ecosystem]
    assert len(packages) > 5
    assert real[1].gaps == ()


def test_the_bill_of_a_real_image_is_strictly_valid(real: tuple[ImagePins, Inventory]) -> None:
    data = sbom_bytes(*real)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None


def test_the_image_says_with_which_blas_its_numpy_computes(
    real: tuple[ImagePins, Inventory], inside: Any
) -> None:
    facts = {fact.name: fact.value for fact in real[1].facts}
    (numpy,) = facts["image.numpy-build"]
    assert numpy["Build Dependencies"]["blas"]["version"] == inside["blas"]
    assert any(inside["blas"] in each.get("states", "") for each in facts["image.numeric-libraries"])
    assert facts["image.python-build"][0]["VERSION"] == "3.11"
    assert facts["image.packages"] == {"deb": len(inside["deb"]), "pypi": len(inside["pypi"])}


@pytest.fixture
def exported(real: tuple[ImagePins, Inventory], inside: Any) -> Iterator[Any]:
    client = docker.APIClient(version="auto", timeout=240)
    yield client.get_image(real[0].config)
    client.close()


def test_the_engines_own_export_tells_the_same(real: tuple[ImagePins, Inventory], exported: Any) -> None:
    assert exported_inventory(exported, real[0]) == real[1]
