"""Keep finished layouts under the digest of their inputs, so that the same build elsewhere takes no time.

An entry is trusted for nothing: every byte of it is hashed again before it is used, and a damaged one is
thrown away. Files are shared by hard links where the disk allows.
"""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from launcher.digest import hash_file
from launcher.image.finished import finished_image


class LayoutCache(Struct, frozen=True):
    """Layouts in one folder, the `most` that were used last."""

    folder: Path
    most: int = 8

    def take(self, inputs: str, destination: Path) -> bool:
        """Put the layout made from `inputs` at `destination`, an absent path; say whether it was there."""
        entry = self._entry(inputs)
        try:
            if finished_image(entry, inputs) is None or not _is_whole(entry):
                shutil.rmtree(entry, ignore_errors=True)
                return False
            os.utime(entry)
            shutil.copytree(entry, destination, copy_function=_link)
        except OSError:
            shutil.rmtree(destination, ignore_errors=True)
            return False
        return True

    def keep(self, inputs: str, layout: Path) -> None:
        """Remember `layout`; where that cannot be, the next build takes its time and nothing else happens."""
        entry = self._entry(inputs)
        staging = entry.with_name(f".{entry.name}.{os.getpid()}.{os.urandom(4).hex()}")
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copytree(layout, staging, copy_function=_link)
            staging.rename(entry)
        shutil.rmtree(staging, ignore_errors=True)
        with suppress(OSError):
            self._forget_the_oldest()

    def _entry(self, inputs: str) -> Path:
        return self.folder / inputs.removeprefix("sha256:")

    def _forget_the_oldest(self) -> None:
        entries = sorted(self.folder.iterdir(), key=_last_use, reverse=True)
        for entry in entries[self.most :]:
            shutil.rmtree(entry, ignore_errors=True)


def _last_use(entry: Path) -> float:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _is_whole(layout: Path) -> bool:
    """Say whether each blob has the digest that is its name."""
    blobs = list((layout / "blobs" / "sha256").iterdir())
    hash_one: Callable[[Path], tuple[str, int]] = hash_file
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return all(got == blob.name for blob, (got, _) in zip(blobs, pool.map(hash_one, blobs), strict=True))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
