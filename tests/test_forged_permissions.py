"""Bundles with devices, and with files that whoever verifies them may not read."""

import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from launcher.trust.policy import single_key_policy
from launcher.verify import verify
from tests.bundles.case import Case, leave
from tests.bundles.keys import ALICE

_NOBODY = 65534
_DEVICES = {
    "null": (stat.S_IFCHR, os.makedev(1, 3)),
    "zero": (stat.S_IFCHR, os.makedev(1, 5)),
    "terminal": (stat.S_IFCHR, os.makedev(5, 0)),
    "disk": (stat.S_IFBLK, os.makedev(7, 0)),
}


def honest_bundle(folder: Path) -> Path:
    return Case(title="it", group="special files", attack="", forge=leave).build(folder / "it")


def open_to_all(bundle: Path, root: Path) -> None:
    """Let everybody through to a bundle below pytest's own folder."""
    for folder in (bundle, *bundle.parents):
        if folder.is_relative_to(root.parents[1]):
            folder.chmod(0o755)


def said_of(bundle: Path) -> tuple[str, str]:
    """Return the verdict on a bundle, and the first thing that is wrong with it."""
    verification = verify(bundle, single_key_policy(ALICE.public), datetime.now(UTC))
    failed = next((check for check in verification.checks if check.status == "failed"), None)
    return verification.verdict, f"{failed.name}: {failed.detail}" if failed else ""


def as_nobody(ask: Callable[[], tuple[str, str]]) -> tuple[str, str]:
    """Return what `ask` says to somebody without privileges: whoever is root may read everything."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(_NOBODY)
                os.setuid(_NOBODY)
            os.write(writer, json.dumps(ask()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    verdict, detail = json.loads(text)
    return verdict, detail


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
@pytest.mark.parametrize("name", _DEVICES)
@pytest.mark.parametrize("place", ["resources.jsonl", "artifacts/0/device", "attestations/ledger.tlog-proof"])
def test_a_device_is_refused_and_not_opened(name: str, place: str, tmp_path: Path) -> None:
    bundle = honest_bundle(tmp_path)
    (bundle / place).unlink(missing_ok=True)
    kind, device = _DEVICES[name]
    os.mknod(bundle / place, kind | 0o666, device)
    assert said_of(bundle) == ("failed", f"files: `{place}` is a device, not a regular file")


@pytest.mark.parametrize(
    "place", ["lock.json", "SHA256SUMS", "artifacts/0/plot.png", "attestations", "artifacts/0"]
)
def test_what_may_not_be_read_is_refused_by_name(place: str, tmp_path: Path) -> None:
    said_of(bundle := honest_bundle(tmp_path))
    open_to_all(bundle, tmp_path)
    assert as_nobody(lambda: said_of(bundle)) == ("verified", "")
    (bundle / place).chmod(0)
    verdict, detail = as_nobody(lambda: said_of(bundle))
    (bundle / place).chmod(0o755)
    assert verdict == "failed"
    assert detail == f"files: `{place}` cannot be read: Permission denied", detail


def test_a_folder_that_may_be_listed_and_not_entered_is_refused(tmp_path: Path) -> None:
    said_of(bundle := honest_bundle(tmp_path))
    open_to_all(bundle, tmp_path)
    (bundle / "logs").chmod(0o444)
    verdict, detail = as_nobody(lambda: said_of(bundle))
    (bundle / "logs").chmod(0o755)
    assert (verdict, "cannot be read: Permission denied" in detail) == ("failed", True), detail
