"""Wheels are installed with honest records and no path of the building machine."""

import base64
import contextlib
import csv
import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.errors import InfrastructureError
from launcher.image.tree import Spool, Tree
from launcher.image.wheel import TreeDestination, install_wheel
from tests.image.makers import make_wheel

SITE = "usr/local/lib/python3.11/dist-packages"
FILE = "tiny-1.0-py3-none-any.whl"


def install(data: bytes, keep=lambda path: True) -> tuple[Tree, Spool]:
    tree, spool = Tree(), Spool(io.BytesIO())
    destination = TreeDestination(tree, spool, keep, SITE, "usr/local", "/usr/bin/python3.11")
    install_wheel(io.BytesIO(data), FILE, destination)
    return tree, spool


def bytes_at(tree: Tree, spool: Spool, path: str) -> bytes:
    node = tree.get(path)
    assert node is not None and node.extent is not None
    return spool.read(node.extent)


def test_a_script_calls_the_images_interpreter() -> None:
    entry_points = "[console_scripts]\nhello = tiny:main\n"
    tree, spool = install(
        make_wheel(
            {
                "tiny.py": "def main(): pass\n",
                "tiny-1.0.dist-info/entry_points.txt": entry_points,
                "tiny-1.0.data/scripts/old": "#!python\n",
            }
        )
    )
    for name in ("hello", "old"):
        assert bytes_at(tree, spool, f"usr/local/bin/{name}").startswith(b"#!/usr/bin/python3.11\n")
        assert tree.nodes[f"usr/local/bin/{name}"].mode == 0o755


def test_record_names_each_installed_file_with_its_digest_and_nothing_left_out() -> None:
    data = make_wheel({"tiny/__init__.py": "x = 1\n", "tiny/tests/test_x.py": "assert True\n"})
    tree, spool = install(data, keep=lambda path: "/tests/" not in path)
    text = bytes_at(tree, spool, f"{SITE}/tiny-1.0.dist-info/RECORD").decode()
    rows = list(csv.reader(text.splitlines()))
    assert {f"{SITE}/{path}" for path, _, _ in rows} == {
        path for path, node in tree.nodes.items() if node.kind == "file"
    }
    for path, digest, size in rows:
        if digest:
            body = bytes_at(tree, spool, f"{SITE}/{path}")
            encoded = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).decode().rstrip("=")
            assert (digest, size) == (f"sha256={encoded}", str(len(body)))
    assert bytes_at(tree, spool, f"{SITE}/tiny-1.0.dist-info/INSTALLER") == b"evalctl\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no zip",
        make_wheel({"../outside.py": ""}),
        make_wheel({"/etc/passwd": ""}),
        make_wheel({"tiny-1.0.data/scripts/../../../x": ""}),
        make_wheel({"tiny-1.0.data/elsewhere/x": ""}),
        make_wheel({"other.py": ""}, name="other"),
    ],
)
def test_a_hostile_or_malformed_wheel_is_a_clear_error(data: bytes) -> None:
    with pytest.raises(InfrastructureError):
        install(data)


WHOLE = make_wheel({"tiny.py": "x = 1\n" * 20})


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_wheel_with_any_byte_changed_installs_or_is_refused(at: int, value: int) -> None:
    with contextlib.suppress(InfrastructureError):
        install(WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :])
