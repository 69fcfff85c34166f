"""Install a wheel into an image's tree with the `installer` library: RECORD honest, no path of this host."""

import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from installer.destinations import WheelDestination
from installer.records import Hash, RecordEntry
from installer.scripts import Script
from installer.utils import Scheme, construct_record_file, fix_shebang

from launcher.errors import InfrastructureError
from launcher.image.tree import Spool, Tree, image_path

_COMPRESSIONS = (0, 8)  # stored, deflated
_CONFUSED = (ValueError, LookupError, RuntimeError, AssertionError, OverflowError)

Keep = Callable[[str], bool]


def install_wheel(stream: BinaryIO, file_name: str, destination: "TreeDestination") -> None:
    """Install the wheel that `stream` holds; `file_name` is the name its index gave it.

    Its RECORD must name every file it holds; the bytes are vouched for by the lock's SHA-256 of the whole.
    Raises `InfrastructureError` for a malformed wheel.
    """
    import struct
    import zipfile
    import zlib

    from installer import install
    from installer.exceptions import InstallerError
    from installer.sources import WheelFile

    try:
        with zipfile.ZipFile(stream) as archive:
            archive.filename = file_name
            if any(member.compress_type not in _COMPRESSIONS for member in archive.infolist()):
                raise _malformed(file_name, "a member is compressed otherwise than with deflate")
            source = WheelFile(archive)
            source.validate_record(validate_contents=False)
            install(source, destination, additional_metadata={"INSTALLER": b"evalctl\n"})
    except (InstallerError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, *_CONFUSED) as error:
        raise _malformed(file_name, str(error) or type(error).__name__) from error


def _passing(stream: BinaryIO, look: Callable[[bytes], None]) -> Iterator[bytes]:
    """Yield the bytes of `stream` piece by piece, each shown to `look`: libraries of a gigabyte exist."""
    while chunk := stream.read(1 << 20):
        look(chunk)
        yield chunk


def _malformed(file_name: str, why: str) -> InfrastructureError:
    return InfrastructureError(f"the wheel `{file_name}` is malformed: {why}", code="package-malformed")


@dataclass(frozen=True, slots=True)
class TreeDestination(WheelDestination):
    """Write a wheel's files to `tree`; what `keep` refuses is neither written nor named in RECORD.

    `site_packages` is relative to the image's root; scripts go to `prefix`/bin and call `interpreter`.
    """

    tree: Tree
    spool: Spool
    keep: Keep
    site_packages: str
    prefix: str
    interpreter: str
    _left_out: set[tuple[str, str]] = field(default_factory=set)

    def write_file(
        self, scheme: Scheme, path: str | os.PathLike[str], stream: BinaryIO, is_executable: bool
    ) -> RecordEntry:
        """Write one file of the wheel."""
        name = os.fspath(path)
        if scheme == "scripts":
            with fix_shebang(stream, self.interpreter) as fixed:
                return self._write(scheme, name, fixed, executable=True)
        return self._write(scheme, name, stream, executable=is_executable)

    def write_script(self, name: str, module: str, attr: str, section: str) -> RecordEntry:
        """Write the script of one entry point."""
        script = Script(name, module, attr, section)  # type: ignore[arg-type]
        file_name, data = script.generate(self.interpreter, "posix")
        return self._write(Scheme("scripts"), file_name, io.BytesIO(data), executable=True)

    def finalize_installation(
        self, scheme: Scheme, record_file_path: str, records: Iterable[tuple[Scheme, RecordEntry]]
    ) -> None:
        """Write RECORD: the files that were written, sorted."""
        kept = sorted(
            (entry for entry in records if (entry[0], entry[1].path) not in self._left_out),
            key=lambda entry: (entry[0], entry[1].path),
        )
        with construct_record_file(kept, lambda other: self._prefix(scheme, other)) as stream:
            self._write(scheme, record_file_path, stream, executable=False)

    def _write(self, scheme: Scheme, name: str, stream: BinaryIO, *, executable: bool) -> RecordEntry:
        import base64
        import hashlib

        state = hashlib.sha256()
        extent = self.spool.store_chunks(_passing(stream, state.update))
        path = image_path(f"{self._folder(scheme)}/{name}")
        if self.keep(path):
            self.tree.add_file(path, extent, executable=executable)
        else:
            self._left_out.add((scheme, name))
        encoded = base64.urlsafe_b64encode(state.digest()).decode().rstrip("=")
        return RecordEntry(name, Hash("sha256", encoded), extent.size)

    def _folder(self, scheme: str) -> str:
        if scheme in ("purelib", "platlib"):
            return self.site_packages
        folders = {"scripts": "bin", "headers": "include", "data": ""}
        return f"{self.prefix}/{folders[scheme]}".rstrip("/")

    def _prefix(self, root: Scheme, other: str) -> str | None:
        if self._folder(other) == self._folder(root):
            return None
        return os.path.relpath("/" + self._folder(other), "/" + self._folder(root)) + "/"
