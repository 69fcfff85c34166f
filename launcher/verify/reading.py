"""Read a bundle's files: all are hashed, few are held; what is parsed is the very bytes that were hashed."""

from collections.abc import Mapping

from launcher.digest import sha256_hex
from launcher.errors import CheckFailedError
from launcher.spec import bundle
from launcher.store.directory import Inventory
from launcher.store.hashing import hash_files

MAX_SUMS_BYTES = 64 << 20

_PARSED = (bundle.BLUEPRINT, bundle.LOCK, bundle.RESULT, bundle.ENVIRONMENT, bundle.SBOM)


def read_signed(inventory: Inventory) -> tuple[dict[str, str], dict[str, bytes]]:
    """Return the SHA-256 of every file outside `attestations/`, and the bytes of SHA256SUMS and attestations.

    Anybody may have made the bundle, so nothing else is held in memory yet.
    """
    attestations = [name for name in inventory.files if bundle.is_attestation(name)]
    bundle.refuse_many_attestations(len(attestations))
    if sum(inventory.files[name].size for name in attestations) > bundle.MAX_ATTESTATIONS_BYTES:
        raise CheckFailedError(
            "the attestations are too large",
            code="file-too-large",
            context=f"together they have more than {bundle.MAX_ATTESTATIONS_BYTES} bytes",
        )
    files = {name: inventory.read(name, bundle.MAX_ATTESTATION_BYTES) for name in attestations}
    files[bundle.SUMS] = inventory.read(bundle.SUMS, MAX_SUMS_BYTES)
    hashed = inventory.files.keys() - files.keys()
    digests = hash_files(inventory, hashed)
    return {**digests, bundle.SUMS: sha256_hex(files[bundle.SUMS])}, files


def read_parsed(inventory: Inventory, digests: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """Return the bytes of the files that are parsed: the very bytes that have these digests, where given."""
    files = {}
    for name in _PARSED:
        files[name] = inventory.read(name, bundle.parsed_limit(name))
        if digests is not None and sha256_hex(files[name]) != digests[name]:
            raise CheckFailedError(f"`{name}` changed while it was read", code="changed-file")
        bundle.refuse_swollen(files)
    return files
