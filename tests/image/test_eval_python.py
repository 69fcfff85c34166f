"""The image that blueprints pin comes out the same twice, and works inside the sandbox."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import pytest

from launcher.engines.docker_archive import load_image
from launcher.sources.layout import open_layout, pin_image
from launcher.store.home import find_home, make_private

pytestmark = [pytest.mark.image, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
BUILD = """
import os, sys
os.umask(int(sys.argv[1], 8))
from pathlib import Path
from launcher.image.build import build_image
recipe, out, cache = map(Path, sys.argv[2:])
from launcher.image.workshop import Workshop
print(build_image(recipe, out, Workshop(cache, lambda line: print(line, file=sys.stderr))).digest)
"""
IMPORTS = """
import ssl, sqlite3, ctypes, lzma, bz2, readline, zoneinfo, numpy, scipy.stats, sklearn.ensemble, onnxruntime
import json, sys
cached = [module.__cached__ for module in sys.modules.values() if getattr(module, "__cached__", None)]
print(json.dumps({"cached": len(cached), "last": max(cached)}))
"""


def build(out: Path, umask: str, folder: Path, surroundings: Mapping[str, str]) -> str:
    command = [sys.executable, "-c", BUILD, umask, ROOT / "images/eval-python", out]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **surroundings}
    built = subprocess.run(
        [*command, make_private(find_home().cache / "packages")],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return built.stdout.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, str]]:
    """Return a layout, its digest, and the digest of a second build in other surroundings."""
    first, second = (tmp_path_factory.mktemp(name) for name in ("first", "second"))
    plain = build(first / "layout", "022", first, {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8"})
    odd = {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONWARNINGS": "error"}
    other = build(second / "far" / "down" / "image", "077", second, odd)
    shutil.rmtree(second)
    yield first / "layout", plain, other
    shutil.rmtree(first)


def test_two_builds_have_the_digest_that_the_blueprint_pins(built: tuple[Path, str, str]) -> None:
    _, first, second = built
    blueprint = tomllib.loads((ROOT / "blueprints/digits-svm/blueprint.toml").read_text())
    assert first == second == blueprint["image"]["ref"].rpartition("@")[2]


def test_layers_hold_only_plain_members_of_root_at_one_time(built: tuple[Path, str, str]) -> None:
    layout = open_layout(built[0])
    names: set[str] = set()
    for diff_id in pin_image(layout, built[1], "linux/amd64").diff_ids:
        with tarfile.open(built[0] / "blobs" / "sha256" / diff_id[7:]) as archive:
            for member in archive:
                assert member.isreg() or member.isdir() or member.issym(), member.name
                assert not member.mode & (stat.S_ISUID | stat.S_ISGID), member.name
                assert (member.uid, member.gid, member.mtime) == (0, 0, 1767225600), member.name
                assert not member.name.startswith(("/", "..")), member.name
                names.add(member.name)
    assert "var/lib/dpkg/status.d/libc6" in names
    assert any(name.endswith("/numpy/__pycache__/__init__.cpython-311.pyc") for name in names)


@pytest.mark.engine
def test_everything_imports_read_only_without_network_or_rights(built: tuple[Path, str, str]) -> None:
    layout = open_layout(built[0])
    client = docker.APIClient(timeout=180)
    image = load_image(client, layout, pin_image(layout, built[1], "linux/amd64"))
    answer = run(client, image.id, ["/usr/bin/python3.11", "-c", IMPORTS])
    assert answer["cached"] > 500
    assert answer["last"].endswith(".cpython-311.pyc")


def run(client: Any, image: str, command: list[str]) -> Any:
    """Run `command` as an evaluation would be; return the JSON it printed."""
    confined = client.create_host_config(
        read_only=True, network_mode="none", cap_drop=["ALL"], security_opt=["no-new-privileges"]
    )
    container = client.create_container(image, command, user="65532:65532", host_config=confined)["Id"]
    try:
        client.start(container)
        status = client.wait(container, timeout=120)["StatusCode"]
        output, errors = (client.logs(container, stdout=out, stderr=not out) for out in (True, False))
        assert status == 0, errors.decode()
        return json.loads(output)
    finally:
        client.remove_container(container, force=True)
