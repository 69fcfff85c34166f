"""Find locked files by their SHA-256: a local cache, this machine's apt and pip, then mirrors.

A place is trusted for nothing: a file enters the cache only after its bytes gave the lock's SHA-256.
"""

import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from launcher.digest import hash_file, hash_stream
from launcher.errors import InfrastructureError
from launcher.image.recipe import Artefact, Recipe
from launcher.spec.grammars import is_web

_APT_HELPER = Path("/usr/lib/apt/apt-helper")
_LIMIT_S = 1800
_IDLE_S = 60


class Cache(Struct, frozen=True):
    """A folder of files named by their SHA-256 in hex."""

    folder: Path

    def adopt(self, path: Path, artefact: Artefact) -> str:
        """Move `path` into the cache if its bytes are right, else remove it; return its SHA-256."""
        got, _ = hash_file(path)
        if got == artefact.sha256:
            path.replace(self.folder / got)
        else:
            path.unlink()
        return got

    def open(self, artefact: Artefact) -> BinaryIO:
        """Return the file, open at its start, after hashing what this very descriptor reads."""
        stream = (self.folder / artefact.sha256).open("rb")
        got, _ = hash_stream(stream)
        if got != artefact.sha256:
            stream.close()
            raise _mismatch(artefact, got)
        stream.seek(0)
        return stream


class Places(Struct, frozen=True):
    """Where to look, in this order: `cache`, then apt or pip as this machine has them set up, then `mirrors`.

    A mirror is an http(s) URL or a folder, with packages at `pool/...` and wheels by file name, or with any
    file under its SHA-256 (another cache).
    """

    cache: Cache
    mirrors: Sequence[str]
    progress: Callable[[str], None]


def gather(recipe: Recipe, places: Places) -> None:
    """Bring every locked file of `recipe` into the cache.

    Raises `InfrastructureError` that names the first file no place had, and what each place gave instead.
    """
    places.cache.folder.mkdir(parents=True, exist_ok=True)
    search = _Search(places.cache)
    compiler = recipe.build.packages if recipe.build else ()
    rows = (
        ("packages", "apt", recipe.packages),
        ("packages of the compiler", "apt", compiler),
        ("wheels", "pip", recipe.wheels),
    )
    for kind, tool, artefacts in rows:
        missing = [artefact for artefact in artefacts if not search.is_cached(artefact)]
        if not missing:
            continue
        megabytes = sum(artefact.size for artefact in missing) / 1e6
        places.progress(f"fetching {len(missing)} {kind} ({megabytes:.0f} MB) with {tool}")
        if tool == "apt":
            missing = search.from_apt(missing)
        else:
            missing = search.from_pip(missing, recipe.python.version)
        for mirror in places.mirrors:
            missing = [artefact for artefact in missing if not search.from_mirror(artefact, mirror)]
        if missing:
            raise _not_found(missing, search.faults)


class _Search:
    """One look through the places; `faults` gathers what was wrong at each."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self.faults: list[str] = []

    def is_cached(self, artefact: Artefact) -> bool:
        """Say whether the cache has the file; one whose bytes changed is removed."""
        return self._adopt(self._cache.folder / artefact.sha256, artefact, "the cache")

    def from_apt(self, missing: list[Artefact]) -> list[Artefact]:
        """Ask each repository apt is set up with, by path and SHA-256; return what is still missing."""
        repositories = _apt_repositories()
        if not repositories:
            self.faults.append("apt: not set up on this machine")
        with self._folder() as folder:
            for repository in repositories:
                if missing:
                    _download_with_apt(missing, repository, folder)
                missing = [
                    item for item in missing if not self._adopt(folder / item.sha256, item, repository)
                ]
        return missing

    def from_pip(self, missing: list[Artefact], version: str) -> list[Artefact]:
        """Ask pip for all of `missing` in one call; return what is still missing."""
        with self._folder() as folder:
            if fault := _download_with_pip(missing, version, folder):
                self.faults.append(f"pip: {fault}")
            return [item for item in missing if not self._adopt(folder / item.file, item, "pip")]

    def from_mirror(self, artefact: Artefact, mirror: str) -> bool:
        """Copy one file from a mirror, by its name or its SHA-256; say whether it was there."""
        for name in (artefact.file, artefact.sha256):
            with self._folder() as folder:
                try:
                    _copy(f"{mirror.rstrip('/')}/{name}", folder / "file", artefact.size)
                except (OSError, ValueError) as error:
                    self.faults.append(f"`{artefact.name}`: mirror: {error}")
                    continue
                if self._adopt(folder / "file", artefact, "a mirror"):
                    return True
        return False

    def _adopt(self, path: Path, artefact: Artefact, place: str) -> bool:
        if not path.is_file():
            return False
        got = self._cache.adopt(path, artefact)
        if got != artefact.sha256:
            self.faults.append(f"`{artefact.name}`: {place} has other bytes, sha256 {got}")
        return got == artefact.sha256

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        import tempfile

        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=self._cache.folder) as name:
            yield Path(name)


def _download_with_apt(missing: list[Artefact], repository: str, folder: Path) -> None:
    """Download files under their SHA-256 with apt's own client, so with its proxies and credentials."""
    arguments: list[str] = []
    for item in missing:
        arguments += [f"{repository}/{item.file}", str(folder / item.sha256), f"SHA256:{item.sha256}"]
    _output([str(_APT_HELPER), "download-file", *arguments])
    for failed in folder.glob("*.FAILED"):
        failed.replace(failed.with_suffix(""))


def _apt_repositories() -> list[str]:
    """Return the roots of the repositories in apt's sources; needs neither its lists nor root."""
    if not _APT_HELPER.exists():
        return []
    _, printed = _output(["apt-get", "update", "--print-uris"])
    return list(dict.fromkeys(re.findall(r"^'(\S+?)/+dists/", printed, re.MULTILINE)))


def _download_with_pip(missing: list[Artefact], version: str, folder: Path) -> str:
    """Download wheels in one call of pip; return what it complained of, if anything."""
    lines = [f"{item.name}=={item.version} --hash=sha256:{item.sha256}\n" for item in missing]
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(lines))
    tags = [item.file.removesuffix(".whl").rsplit("-", 3)[1:] for item in missing]
    choices: list[str] = []
    for option, at in (("--abi", 1), ("--platform", 2)):
        for tag in sorted({part for parts in tags if len(parts) == 3 for part in parts[at].split(".")}):
            choices += [option, tag]
    command = [*_pip(), "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command += ["--python-version", version, "--implementation", "cp", *choices]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    status, printed = _output(command)
    errors = [line for line in printed.splitlines() if line.startswith("ERROR")]
    return "" if status == 0 else (errors or [*printed.splitlines(), "failed"])[0].strip()


def _pip() -> list[str]:
    import importlib.util

    if importlib.util.find_spec("pip") is None and (alone := shutil.which("pip3") or shutil.which("pip")):
        return [alone]
    return [sys.executable, "-m", "pip"]


def _copy(source: str, path: Path, size: int) -> None:
    """Copy a file or URL to `path`, never more than one byte beyond `size`."""
    with _source(source) as stream, path.open("wb") as target:
        left = size + 1
        while left and (chunk := stream.read(min(left, 1 << 20))):
            target.write(chunk)
            left -= len(chunk)


def _source(source: str) -> BinaryIO:
    if not is_web(source):
        return Path(source).open("rb")
    import urllib.request

    stream: BinaryIO = urllib.request.urlopen(source, timeout=_IDLE_S)  # noqa: S310
    return stream


def _output(command: list[str]) -> tuple[int, str]:
    """Run `command`; return its exit status and all it printed, whatever went wrong."""
    import subprocess

    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, f"ERROR: {error}"
    return done.returncode, done.stdout.decode("utf-8", "replace")


def _mismatch(artefact: Artefact, got: str) -> InfrastructureError:
    return InfrastructureError(
        f"the cache has other bytes for `{artefact.name}` {artefact.version}",
        code="package-digest-mismatch",
        context=f"expected sha256 {artefact.sha256}, got {got}",
        hint="type `evalctl image build FOLDER` again; the file is fetched anew",
    )


def _not_found(missing: list[Artefact], faults: list[str]) -> InfrastructureError:
    first, others = missing[0], len(missing) - 1
    more = f" (and {others} more)" if others else ""
    tried = "; ".join(dict.fromkeys(faults)) or "no place had a file of that name"
    return InfrastructureError(
        f"`{first.file}` was found nowhere{more}",
        code="package-not-found",
        context=f"expected sha256 {first.sha256}; {tried}",
        hint="name a place that has it: `evalctl image build FOLDER --mirror PLACE`; or lock anew",
    )
