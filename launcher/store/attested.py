"""The attestations of a finished bundle: read them with its SHA256SUMS, and add to them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from launcher.digest import sha256_hex
from launcher.errors import CheckFailedError, InfrastructureError
from launcher.spec import bundle
from launcher.store.directory import walk
from launcher.store.files import create_atomically, write_atomically

_MAX_SUMS_BYTES = 64 << 20


class Attested(Struct, frozen=True):
    """What a bundle's attestations are about: `digests` is what SHA256SUMS lists, and its own SHA-256.

    The listed files were not looked at. `files` holds SHA256SUMS and every attestation, by path, but for the
    `kept` ones of the bundle that this one was redacted from.
    """

    digests: Mapping[str, str]
    files: Mapping[str, bytes]
    kept: int = 0

    @property
    def digest(self) -> str:
        """The bundle's digest."""
        return f"sha256:{self.digests[bundle.SUMS]}"

    @property
    def count(self) -> int:
        """How many attestations there are in the folder."""
        return len(self.files) - 1 + self.kept


def read_attested(folder: Path) -> Attested:
    """Read the attestations of the bundle in `folder`; raises as `walk` does."""
    with walk(folder) as inventory:
        names = [name for name in inventory.files if bundle.is_attestation(name)]
        bundle.refuse_many_attestations(len(names))
        own = [name for name in names if not bundle.is_original_attestation(name)]
        files = {name: inventory.read(name, bundle.MAX_ATTESTATION_BYTES) for name in own}
        files[bundle.SUMS] = inventory.read(bundle.SUMS, _MAX_SUMS_BYTES)
    digests = bundle.read_sums(files[bundle.SUMS])
    sums = sha256_hex(files[bundle.SUMS])
    return Attested({**digests, bundle.SUMS: sums}, files, len(names) - len(own))


def has_reproductions(path: Path) -> bool:
    """Say whether anything in the bundle's `attestations/` is called a reproduction."""
    folder = path / bundle.ATTESTATIONS
    try:
        return any(entry.name.startswith("reproduction-") for entry in folder.iterdir())
    except OSError:
        return False


def refuse_full(count: int) -> None:
    """Raise `CheckFailedError` where a bundle with `count` attestations would have more than it may."""
    # The most that `verify` takes is one less: SHA256SUMS counts among them.
    if count >= bundle.MAX_ATTESTATIONS:
        raise CheckFailedError(
            f"the bundle would have {count} attestations",
            code="too-many-attestations",
            context=f"it may have {bundle.MAX_ATTESTATIONS - 1}",
            hint="take those out of its `attestations/` that nobody needs",
        )


def add_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Create every file of `files`, by its path in `folder`, all of them or none; no link inside is followed.

    Raises `InfrastructureError` where `folder` cannot be written.
    """
    written: list[Path] = []
    with ExitStack() as stack:
        places = {(folder / name).parent for name in files}
        held = {place: stack.enter_context(_held(place, inside=place != folder)) for place in places}
        try:
            for name, data in files.items():
                place = held[(folder / name).parent] / Path(name).name
                create_atomically(place, data)
                written.append(place)
        except BaseException as error:
            for path in written:
                with suppress(OSError):
                    path.unlink()
            if isinstance(error, InfrastructureError):
                raise _not_writable(folder / name, error.context) from error
            raise


def put_file(folder: Path, name: str, data: bytes) -> None:
    """Put an attestation in the place of the one of its name; no link inside `folder` is followed.

    Raises `InfrastructureError` where `folder` cannot be written.
    """
    place = folder / name
    with _held(place.parent, inside=place.parent != folder) as held:
        write_atomically(held / place.name, data)


@contextmanager
def _held(folder: Path, *, inside: bool) -> Iterator[Path]:
    """Give a path that leads to this very folder, whatever takes its name; `inside`: it may be no link."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW * inside)
    except OSError as error:
        raise _not_writable(folder, error.strerror) from error
    try:
        held = Path(f"/proc/self/fd/{descriptor}")
        yield held if held.is_dir() else folder
    finally:
        os.close(descriptor)


def _not_writable(path: Path, reason: str | None) -> InfrastructureError:
    return InfrastructureError(
        f"cannot write `{path}`",
        code="not-writable",
        context=reason,
        hint="free some disk space, or make the folder writable",
    )
