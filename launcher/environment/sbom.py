"""The software bill of materials of an image: CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/).

It names the image by its digests and says that its contents are not listed: an inventory of the packages
inside is not made by this version.
"""

from typing import Any

from launcher.canonical import canonical_bytes, parse_json
from launcher.spec.image import ImagePins


def sbom_bytes(image: ImagePins) -> bytes:
    """Return the bytes of `sbom.cdx.json` for `image`: the same for the same image."""
    reference = f"pkg:oci/image@{image.manifest.replace(':', '%3A')}"
    component: dict[str, Any] = {
        "type": "container",
        "bom-ref": reference,
        "name": "image",
        "version": image.manifest,
        "hashes": [{"alg": "SHA-256", "content": image.manifest.removeprefix("sha256:")}],
        "properties": [
            {"name": "oci:config", "value": image.config},
            {"name": "oci:platform", "value": image.platform},
            *({"name": "oci:diff_id", "value": diff_id} for diff_id in image.diff_ids),
        ],
    }
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component},
        "compositions": [{"aggregate": "unknown", "assemblies": [reference]}],
    }
    return canonical_bytes(document) + b"\n"


def empty_sbom_bytes() -> bytes:
    """Return the bytes of `sbom.cdx.json` where no image is known: it lists nothing and says so."""
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "compositions": [{"aggregate": "unknown"}],
    }
    return canonical_bytes(document) + b"\n"


def described_image(data: bytes) -> str | None:
    """Return the digest of the manifest that a bill of materials is about, None where it names none.

    Raises `MalformedError` for bytes that are no JSON.
    """
    table = parse_json(data, what="sbom.cdx.json")
    for key in ("metadata", "component", "version"):
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, str) else None
