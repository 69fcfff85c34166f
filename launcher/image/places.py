"""Find locked files by their SHA-256: a local cache, this machine's apt and pip, then mirrors.

A place is trusted for nothing: a file enters the cache only after its bytes gave the lock's SHA-256.
"""

import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from launcher.digest import hash_file, hash_stream
from launcher.errors import InfrastructureError
from launcher.image.recipe import Artefact, Recipe

Progress = Callable[[str], None]

_APT_HELPER = Path("/usr/lib/apt/apt-helper")
_LIMIT_S = 1800
_IDLE_S = 60


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of files named by their SHA-256 in hex; `faults` says what went wrong at each place."""

    folder: Path
    faults: list[str] = field(default_factory=list)

    def holds(self, artefact: Artefact) -> bool:
        """Say whether the cache has the file; one whose bytes changed is removed."""
        path = self.folder / artefact.sha256
        return path.is_file() and self._is_right(path, artefact, "the cache")

    def adopt(self, path: Path, artefact: Artefact, place: str) -> bool:
        """Move the file at `path` into the cache if its bytes are right; say whether they were."""
        if not path.is_file() or not self._is_right(path, artefact, place):
            return False
        path.replace(self.folder / artefact.sha256)
        return True

    def open(self, artefact: Artefact) -> BinaryIO:
        """Return the file, open at its start, after hashing what this very descriptor reads."""
        stream = (self.folder / artefact.sha256).open("rb")
        got, _ = hash_stream(stream)
        if got != artefact.sha256:
            stream.close()
            raise _mismatch(artefact, got, "the cache")
        stream.seek(0)
        return stream

    def _is_right(self, path: Path, artefact: Artefact, place: str) -> bool:
        got, _ = hash_file(path)
        if got == artefact.sha256:
            return True
        path.unlink()
        self.faults.append(f"`{artefact.name}`: {place} has other bytes, sha256 {got}")
        return False


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look, in this order: `cache`, then apt or pip as this machine has them set up, then `mirrors`.

    A mirror is an http(s) URL or a folder, with packages at `pool/...` and wheels by file name, or with any
    file under its SHA-256 (another cache).
    """

    cache: Cache
    mirrors: Sequence[str]
    progress: Progress


def gather(recipe: Recipe, places: Places) -> None:
    """Bring every locked file of `recipe` into the cache.

    Raises `InfrastructureError` that names the first file no place had, and what each place gave instead.
    """
    places.cache.folder.mkdir(parents=True, exist_ok=True)
    kinds: Mapping[Literal["packages", "wheels"], tuple[Artefact, ...]] = {
        "packages": recipe.packages,
        "wheels": recipe.wheels,
    }
    for kind, artefacts in kinds.items():
        missing = [artefact for artefact in artefacts if not places.cache.holds(artefact)]
        if not missing:
            continue
        megabytes = sum(artefact.size for artefact in missing) / 1e6
        tool = "apt" if kind == "packages" else "pip"
        places.progress(f"fetching {len(missing)} {kind} ({megabytes:.0f} MB) with {tool}")
        missing = _from_system(recipe, missing, places, tool)
        for mirror in places.mirrors:
            missing = [artefact for artefact in missing if not _from_mirror(artefact, mirror, places)]
        if missing:
            raise _not_found(missing, places.cache.faults)


def _from_system(recipe: Recipe, missing: list[Artefact], places: Places, tool: str) -> list[Artefact]:
    """Ask apt or pip for `missing`; return what is still missing."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=places.cache.folder) as name:
        folder = Path(name)
        if tool == "apt":
            return _from_apt(missing, folder, places.cache)
        fault = _download_with_pip(missing, recipe.python.version, folder)
        if fault:
            places.cache.faults.append(f"pip: {fault}")
        return [item for item in missing if not places.cache.adopt(folder / item.file, item, "pip")]


def _from_apt(missing: list[Artefact], folder: Path, cache: Cache) -> list[Artefact]:
    """Fetch from each repository that apt is set up with, by path and SHA-256, with apt's own client."""
    repositories = _apt_repositories()
    if not repositories:
        cache.faults.append("apt: not set up on this machine")
    for repository in repositories:
        arguments: list[str] = []
        for item in missing:
            arguments += [f"{repository}/{item.file}", str(folder / item.sha256), f"SHA256:{item.sha256}"]
        if arguments:
            _output([str(_APT_HELPER), "download-file", *arguments])
        for failed in folder.glob("*.FAILED"):
            failed.replace(failed.with_suffix(""))
        missing = [item for item in missing if not cache.adopt(folder / item.sha256, item, repository)]
    return missing


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


def _from_mirror(artefact: Artefact, mirror: str, places: Places) -> bool:
    import tempfile

    for name in (artefact.file, artefact.sha256):
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=places.cache.folder) as folder:
            path = Path(folder) / "file"
            try:
                _copy(f"{mirror.rstrip('/')}/{name}", path, artefact.size)
            except (OSError, ValueError) as error:
                places.cache.faults.append(f"`{artefact.name}`: mirror: {error}")
                continue
            if places.cache.adopt(path, artefact, "a mirror"):
                return True
    return False


def _copy(source: str, path: Path, size: int) -> None:
    """Copy a file or URL to `path`, never more than one byte beyond `size`."""
    with _source(source) as stream, path.open("wb") as target:
        left = size + 1
        while left and (chunk := stream.read(min(left, 1 << 20))):
            target.write(chunk)
            left -= len(chunk)


def _source(source: str) -> BinaryIO:
    if not source.startswith(("http://", "https://")):
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


def _mismatch(artefact: Artefact, got: str, place: str) -> InfrastructureError:
    return InfrastructureError(
        f"{place} has other bytes for `{artefact.name}` {artefact.version}",
        code="package-digest-mismatch",
        context=f"expected sha256 {artefact.sha256}, got {got}",
        hint="evalctl image build FOLDER again; the file is fetched anew",
    )


def _not_found(missing: list[Artefact], faults: list[str]) -> InfrastructureError:
    first, others = missing[0], len(missing) - 1
    more = f" (and {others} more)" if others else ""
    tried = "; ".join(dict.fromkeys(faults)) or "no place had a file of that name"
    return InfrastructureError(
        f"`{first.file}` was found nowhere{more}",
        code="package-not-found",
        context=f"expected sha256 {first.sha256}; {tried}",
        hint="evalctl image build FOLDER --mirror URL-OR-FOLDER, or lock anew with images/relock.py",
    )
