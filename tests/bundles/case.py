"""One case of the corpus: a bundle somebody forged (or made honestly), and what `verify` must say of it."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field

from launcher.trust.keys import Signer
from tests.bundles.honest import Files, Run, launched
from tests.bundles.keys import ALICE

BUNDLE = "bundle"

# The classes of attack, in the order of docs/forgeries.md.
Group = Literal[
    "honest",
    "files",
    "special files",
    "names",
    "attestations",
    "types",
    "signatures",
    "keys and thresholds",
    "timestamps",
    "encodings",
    "archives",
    "exhaustion",
    "replay",
    "downgrade",
    "policy",
    "lies",
    "reproductions",
    "ledger",
    "redaction",
]
Forge = Callable[[Path], object]


@cache
def honest() -> Files:
    """Return the files of an honest bundle, with which most cases begin."""
    return launched(Run())


class Trust(Struct, frozen=True):
    """Under what a bundle is verified: `key` (`--key`), `policy` (`--trust`), or the files of a `home`."""

    key: Signer | None = None
    policy: str | None = None
    home: Mapping[str, str] = field(default_factory=dict)


class Case(Struct, frozen=True, kw_only=True):
    """What was done to the bundle that `base` makes, and the check that refuses it in these `words`.

    `forge` is given the bundle's folder. `refused_by` is the name of a check, or the code of the error where
    the exit code is not 0, 1 or 3. A `heavy` case needs much disk or time to be made.
    """

    title: str
    group: Group
    attack: str
    forge: Forge
    refused_by: str = ""
    words: str = ""
    exit_code: int = 1
    base: Callable[[], Files] = honest
    trust: Trust = Trust(ALICE)
    heavy: bool = False

    @property
    def name(self) -> str:
        """The case's folder."""
        return f"{self.title}_{'fail' if self.exit_code else 'ok'}"

    @property
    def arguments(self) -> tuple[str, ...]:
        """What to give to `evalctl` inside the case's folder, with `EVALCTL_HOME` set to its `home`."""
        if self.trust.key is not None:
            return ("verify", BUNDLE, "--key", "key.pub")
        return ("verify", BUNDLE, "--trust", "trust.toml") if self.trust.policy else ("verify", BUNDLE)

    def build(self, folder: Path) -> Path:
        """Make the case in `folder`, which is new; return the bundle in it."""
        bundle = folder / BUNDLE
        bundle.mkdir(parents=True)
        write_files(bundle, self.base())
        if self.trust.key is not None:
            (folder / "key.pub").write_text(self.trust.key.public.openssh + "\n")
        if self.trust.policy is not None:
            (folder / "trust.toml").write_text(self.trust.policy)
        for name, text in self.trust.home.items():
            write_files(folder, {f"home/{name}": text.encode()})
        self.forge(bundle)
        return bundle


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below `folder`, with the folders they are in."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def leave(bundle: Path) -> None:
    """Do nothing to a bundle."""


Row = tuple[str, Forge, str]


def rows(group: Group, refused_by: str, table: Mapping[str, Row], **more: Any) -> Iterator[Case]:
    """Yield the cases of a table: title to what the attacker did, how, and the words of the refusal."""
    for title, (attack, forge, words) in table.items():
        yield Case(
            title=title, group=group, attack=attack, forge=forge, refused_by=refused_by, words=words, **more
        )
