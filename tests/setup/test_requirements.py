"""Every dependency is locked by hash, and no file says where packages come from."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LOCKS = sorted([*ROOT.glob("requirements/*.txt"), *ROOT.glob("blueprints/*/*.txt")])
_PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[^ ;]+)")

every_lock = pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)


def entries(lock: Path) -> list[str]:
    """Return the requirements of a file, each with its continuation lines, without comments."""
    lines = [
        line for line in lock.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    return re.split(r"\n(?=\S)", "\n".join(lines))


def pins(lock: Path) -> set[str]:
    return {match.group() for entry in entries(lock) if (match := _PIN.match(entry))}


@every_lock
def test_every_requirement_is_one_version_with_hashes(lock: Path) -> None:
    for entry in entries(lock):
        assert _PIN.match(entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


@every_lock
def test_no_lock_names_a_place_to_fetch_from(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-", re.sub(r"^\s+--hash=.*$", "", text, flags=re.MULTILINE), re.MULTILINE)


def test_development_runs_on_the_versions_that_users_get() -> None:
    assert pins(ROOT / "requirements" / "runtime.txt") <= pins(ROOT / "requirements" / "dev.txt")


def test_the_lock_of_the_javascript_packages_has_hashes_and_names_no_place() -> None:
    lock = json.loads((ROOT / "tests" / "outside" / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name
