"""The home directory: where keys, trust, cache, attempts and bundles of one user live."""

import os
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from launcher.errors import InfrastructureError
from launcher.store.files import create_atomically


class Home(Struct, frozen=True):
    """The places inside one home directory; only writing, and `label`, create them."""

    root: Path

    @property
    def default_key(self) -> Path:
        """The private key that signs when no `--key` is given; its public half ends in `.pub`."""
        return self.root / "keys" / "default"

    @property
    def trust(self) -> Path:
        """The policy that decides when neither `--trust` nor `--key` is given."""
        return self.root / "trust.toml"

    @property
    def cache(self) -> Path:
        """Content-addressed copies of inputs, code and image manifests."""
        return self.root / "cache"

    @property
    def runs(self) -> Path:
        """One folder for each lock, in it one for each attempt."""
        return self.root / "runs"

    @property
    def bundles(self) -> Path:
        """Finished bundles, each under the hex of its digest."""
        return self.root / "bundles"

    @property
    def seen_ledgers(self) -> Path:
        """The checkpoints that were seen of others' ledgers."""
        return self.root / "seen-ledgers"

    @property
    def trash(self) -> Path:
        """What was to be removed and is another user's; `gc` tries again."""
        return self.root / "trash"

    def bundle(self, digest: str) -> Path:
        """Return where the finished bundle of this digest is, or would be."""
        return self.bundles / digest.removeprefix("sha256:")

    @property
    def label(self) -> str:
        """An opaque name for container labels, drawn once: it tells homes apart, not where they are.

        A path would not do: two machines, or containers, that share an engine may use the same one.
        """
        place = make_private(self.root) / "id"
        if not place.exists():
            with suppress(InfrastructureError):
                create_atomically(place, os.urandom(8).hex().encode())
        try:
            return place.read_text()
        except OSError as error:
            raise InfrastructureError(
                f"cannot read `{place}`", code="home-not-readable", context=error.strerror
            ) from error


def find_home() -> Home:
    """Return `$EVALCTL_HOME`, else the platform's user data directory for evalctl."""
    named = os.environ.get("EVALCTL_HOME")
    if named:
        return Home(Path(named).absolute())
    import platformdirs

    return Home(Path(platformdirs.user_data_dir("evalctl", appauthor=False)))


def make_private(folder: Path) -> Path:
    """Create `folder` (and its parents) readable by its owner alone where it does not exist."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(
            f"cannot create the folder `{folder}`",
            code="home-not-writable",
            context=error.strerror,
            hint="set EVALCTL_HOME to a folder that you may write",
        ) from error
    return folder
