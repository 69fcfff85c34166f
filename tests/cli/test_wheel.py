"""What is installed is whole: the wheel holds what the launcher reads beside its modules."""

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.cli.transcripts import CHECKOUT


def test_the_wheel_holds_every_file_of_the_package_and_an_init_that_can_be_run(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        modes = {item.filename: item.external_attr >> 16 for item in archive.infolist()}
    tracked = subprocess.run(
        ["git", "ls-files", "launcher"], cwd=CHECKOUT, check=True, capture_output=True, text=True
    )
    missing = {path for path in tracked.stdout.split() if (CHECKOUT / path).is_file()} - set(modes)
    assert not missing
    assert modes["launcher/engines/init/evalctl-init"] & 0o111 == 0o111
    assert "launcher/py.typed" in modes
