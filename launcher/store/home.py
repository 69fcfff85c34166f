"""The home directory: where keys, trust, cache, attempts and bundles of one user live."""

import os
from pathlib import Path

from msgspec import Struct

from launcher.digest import sha256_hex
from launcher.errors import InfrastructureError


class Home(Struct, frozen=True):
    """The places inside one home directory; nothing is created until something is written."""

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
    def label(self) -> str:
        """An opaque name of this home for container labels: it tells homes apart, not where they are."""
        return sha256_hex(os.fsencode(self.root.resolve()))[:16]


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
