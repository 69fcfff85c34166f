"""Pins: the digests that say which image bytes run."""

from typing import Any, Final

from msgspec import Struct

# What a blueprint that names no platform asks for, and what recipes and Dockerfiles are built for.
PLATFORM: Final = "linux/amd64"


class ImagePins(Struct, frozen=True):
    """Every digest of one image for one platform, each `sha256:<hex>`.

    `index` is set where the reference named an image index. `manifest` names the bytes in transport; `config`
    survives recompression and is the Id on engines with graph drivers; `diff_ids` are the layers
    uncompressed, lowest first. `platform` is `os/architecture` or `os/architecture/variant`.
    """

    index: str | None
    manifest: str
    config: str
    diff_ids: tuple[str, ...]
    platform: str

    @property
    def named(self) -> str:
        """The digest that a blueprint pins: the index's where there is one."""
        return self.index or self.manifest

    def as_identity(self) -> dict[str, Any]:
        """Return the pins as JSON, for a lock's identity."""
        return {
            "index": self.index,
            "manifest": self.manifest,
            "config": self.config,
            "diff_ids": list(self.diff_ids),
            "platform": self.platform,
        }
