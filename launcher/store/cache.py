"""The content-addressed cache: bytes under the digest they were proven to have."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from launcher.digest import hash_file
from launcher.errors import InfrastructureError
from launcher.store.home import make_private
from launcher.store.trees import TreeCache, not_stored


class Cache(Struct, frozen=True):
    """Blobs under `sha256/`, folders under `trees/`; entries appear whole or not at all."""

    root: Path

    @property
    def trees(self) -> TreeCache:
        """The folders, copied or unpacked."""
        return TreeCache(self.root / "trees")

    def place(self, sha256: str) -> Path:
        """Return where the blob with this hex digest is, or would be."""
        return self.root / "sha256" / sha256[:2] / sha256

    def find(self, sha256: str) -> Path | None:
        """Return the blob's path after hashing it again, or None; a damaged entry is thrown away."""
        path = self.place(sha256)
        try:
            actual, _ = hash_file(path)
        except OSError:
            return None
        if actual == sha256:
            return path
        path.unlink(missing_ok=True)
        return None

    def put(
        self, chunks: Iterable[bytes], sha256: str | None, *, what: str, limit: int | None = None
    ) -> Path:
        """Store `chunks` under their digest, the file's name; one other than `sha256` is refused.

        So are bytes beyond `limit`. Raises `InfrastructureError` (`input-digest-mismatch`,
        `input-too-large`, `cache-not-writable`).
        """
        temporary = make_private(self.root / "sha256") / f".{os.getpid()}.{os.urandom(6).hex()}"
        try:
            actual = _write(temporary, chunks, limit, what)
            if sha256 not in (None, actual):
                raise InfrastructureError(
                    f"`{what}` has other bytes than its checksum says",
                    code="input-digest-mismatch",
                    context=f"expected sha256 {sha256}, got {actual}",
                    hint="correct `sha256` in the blueprint, or get the file that it names",
                )
            temporary.chmod(0o444)
            path = self.place(actual)
            make_private(path.parent)
            temporary.rename(path)
        except OSError as error:
            raise not_stored(what, error) from error
        finally:
            temporary.unlink(missing_ok=True)
        return path


def _write(path: Path, chunks: Iterable[bytes], limit: int | None, what: str) -> str:
    state, size = hashlib.sha256(), 0
    with path.open("xb") as stream:
        for chunk in chunks:
            size += len(chunk)
            if limit is not None and size > limit:
                raise InfrastructureError(
                    f"`{what}` is larger than it should be",
                    code="input-too-large",
                    context=f"expected {limit} bytes, got more",
                    hint="correct `size` in the blueprint, or get the file that it names",
                )
            state.update(chunk)
            stream.write(chunk)
        stream.flush()
        os.fsync(stream.fileno())
    return state.hexdigest()
