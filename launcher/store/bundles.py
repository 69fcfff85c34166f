"""Finished bundles: they appear in the store whole, under their digest, and are never written again."""

import os
import shutil
from pathlib import Path

from launcher.digest import hash_file, is_sha256_hex, sha256_hex, sums_text
from launcher.errors import InfrastructureError, MalformedError
from launcher.spec.bundle import SUMS, is_bundle_file
from launcher.store.files import sync_folder, write_new
from launcher.store.home import Home, make_private

_SHORTEST_PREFIX = 8


def bundle_digest(folder: Path) -> str:
    """Return the bundle's digest: the SHA-256 of its `SHA256SUMS`."""
    return "sha256:" + hash_file(folder / SUMS)[0]


def is_intact(folder: Path) -> bool:
    """Say whether a bundle in the store still has the bytes of its digest, which is the folder's name.

    What was added under `attestations/` later is not looked at: `verify` is for that.
    """
    try:
        if bundle_digest(folder) != f"sha256:{folder.name}":
            return False
        listed = [(line[:64], line[66:]) for line in (folder / SUMS).read_text().splitlines()]
        return all(is_bundle_file(path) and hash_file(folder / path)[0] == sha256 for sha256, path in listed)
    except (OSError, UnicodeDecodeError):
        return False


def write_sums(staging: Path) -> dict[str, str]:
    """Write the `SHA256SUMS` of all files in `staging`; return the SHA-256 in hex of each and of itself."""
    files = [Path(folder, name) for folder, _, names in os.walk(staging) for name in names]
    digests = {file.relative_to(staging).as_posix(): hash_file(file)[0] for file in files}
    sums = sums_text(digests.items())
    write_new(staging / SUMS, sums)
    return {**digests, SUMS: sha256_hex(sums)}


def publish(home: Home, staging: Path) -> Path:
    """Move a complete bundle from `staging` to its place in the store and return that place."""
    make_private(home.bundles)
    destination = home.bundle(bundle_digest(staging))
    if destination.exists():
        return destination
    try:
        for folder, _, _ in os.walk(staging):
            sync_folder(Path(folder))
        staging.rename(destination)
        sync_folder(home.bundles)
    except OSError as error:
        raise InfrastructureError(
            f"cannot put the bundle into `{home.bundles}`",
            code="store-not-writable",
            context=error.strerror,
            hint="free some disk space, or set EVALCTL_HOME to a folder that you may write",
        ) from error
    return destination


def require_empty(out: Path) -> None:
    """Raise `MalformedError` unless `out` is absent or an empty directory."""
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise MalformedError(
            f"`--out {out}` already holds something",
            code="out-not-empty",
            hint="name a folder that does not exist yet",
        )


def copy_out(bundle: Path, out: Path) -> Path:
    """Copy a finished bundle to `out` (absent or empty), whole or not at all, and return `out`."""
    require_empty(out)
    place = out.resolve()
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(bundle, temporary, symlinks=True)
        # A rename replaces an empty folder, and no other, in one step.
        temporary.rename(place)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        raise InfrastructureError(
            f"cannot copy the bundle to `{out}`",
            code="not-writable",
            context=f"{_reason(error)}; the bundle is safe at `{bundle}`",
            hint="name a folder on a disk with room that you may write",
        ) from error
    return out


def _reason(error: OSError) -> str:
    """Return why; of the reasons that shutil collects, one for every file, the first."""
    if isinstance(error, shutil.Error):
        _, _, reason = error.args[0][0]
        return str(reason)
    return error.strerror or str(error)


def find_bundle(home: Home, name: str) -> Path:
    """Return the bundle that `name` says: a whole digest in the store, a path, or the start of a digest.

    Raises `MalformedError` (`no-such-bundle`) when there is none, or several begin with that digest.
    """
    start = name.removeprefix("sha256:")
    # Before any path: a folder of that name in the current directory is not what a whole digest means.
    if is_sha256_hex(start) and (home.bundles / start).is_dir():
        return home.bundles / start
    path = Path(name)
    if path.is_file():
        raise MalformedError(
            f"there is no bundle at `{name}`",
            code="no-such-bundle",
            context="it is a file, and a bundle is a folder",
            hint="see what there is with `evalctl list`",
        )
    if path.exists():
        return path
    found = sorted(home.bundles.glob(f"{start}*")) if _is_prefix(start) else []
    if len(found) == 1:
        return found[0]
    raise MalformedError(
        f"there is no bundle `{name}`",
        code="no-such-bundle",
        context=f"{len(found)} bundles begin so"
        if found
        else f"it is neither a path nor a digest in the store, of which {_SHORTEST_PREFIX} digits are enough",
        hint="see what there is with `evalctl list`",
    )


def _is_prefix(text: str) -> bool:
    return len(text) >= _SHORTEST_PREFIX and all(letter in "0123456789abcdef" for letter in text)
