"""Pins: the digests that say which image bytes run."""

from msgspec import Struct


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
