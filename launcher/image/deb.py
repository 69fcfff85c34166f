"""Unpack a Debian package into an image's tree: no maintainer script, no root right.

The format is deb(5): an `ar` archive of `debian-binary`, `control.tar.*`, `data.tar.*`. The control paragraph
and the checksums go to `var/lib/dpkg/status.d/`, where scanners such as syft and trivy look in images without
dpkg.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from launcher.errors import InfrastructureError
from launcher.image.tree import Spool, Tree, image_path

if TYPE_CHECKING:
    import tarfile

Keep = Callable[[str], bool]

_MAGIC, _HEADER = b"!<arch>\n", 60
_STATUS = "var/lib/dpkg/status.d"
_LARGEST_CONTROL_FILE = 16 << 20


class Control(Struct, frozen=True):
    """What a package says of itself: its control paragraph and, where shipped, its MD5 sums."""

    name: str
    version: str
    architecture: str
    paragraph: bytes
    md5sums: bytes


def unpack_deb(data: bytes, tree: Tree, spool: Spool, keep: Keep) -> Control:
    """Add the files of the package `data` that `keep` accepts (given their paths in the image) to `tree`.

    Raises `InfrastructureError` for anything but directories, regular files and links, and for names that
    leave the image.
    """
    members = _deb_members(data)
    control = _control(members["control"])
    with _tar(members["data"], "data") as archive:
        for member in archive:
            path = image_path(member.name)
            if path and (member.isdir() or keep(path)):
                _add_member(archive, member, path, tree, spool)
    _add_database_entry(control, tree, spool, keep)
    return control


def _add_member(
    archive: "tarfile.TarFile", member: "tarfile.TarInfo", path: str, tree: Tree, spool: Spool
) -> None:
    import tarfile

    if member.type == tarfile.DIRTYPE:
        tree.add_directory(path, member.mode)
    elif member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.sparse:
        stream = archive.extractfile(member)
        extent = spool.store(stream.read() if stream else b"")
        tree.add_file(path, extent, executable=bool(member.mode & 0o111))
    elif member.type == tarfile.SYMTYPE:
        tree.add_symlink(path, member.linkname)
    elif member.type == tarfile.LNKTYPE:
        node = tree.get(image_path(member.linkname))
        if node is None or node.extent is None:
            raise _malformed(f"the hard link `{member.name}` names no file before it")
        tree.add_file(path, node.extent, executable=bool(node.mode & 0o111))
    else:
        raise InfrastructureError(
            f"`{member.name}` is a device, a FIFO or another special file", code="image-member-refused"
        )


def _add_database_entry(control: Control, tree: Tree, spool: Spool, keep: Keep) -> None:
    tree.add_file(f"{_STATUS}/{control.name}", spool.store(control.paragraph.rstrip(b"\n") + b"\n"))
    if control.md5sums:
        kept = [line for line in control.md5sums.splitlines(keepends=True) if keep(_summed_path(line))]
        tree.add_file(f"{_STATUS}/{control.name}.md5sums", spool.store(b"".join(kept)))


def _summed_path(line: bytes) -> str:
    return image_path(line.split(None, 1)[-1].decode("utf-8", "surrogateescape").rstrip("\n"))


def _control(compressed: tuple[str, bytes]) -> Control:
    with _tar(compressed, "control") as archive:
        files = {
            member.name.removeprefix("./"): _small_file(archive, member)
            for member in archive
            if member.isreg() and member.name.removeprefix("./") in ("control", "md5sums")
        }
    if "control" not in files:
        raise _malformed("it has no control file")
    try:
        fields = HeaderParser().parsestr(files["control"].decode())
        name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
    except UnicodeDecodeError as error:
        raise _malformed("its control file is not UTF-8") from error
    if not (name and version and architecture) or "/" in name or name.startswith("."):
        raise _malformed("its control file names no package, version and architecture")
    return Control(name, version, architecture, files["control"], files.get("md5sums", b""))


def _small_file(archive: "tarfile.TarFile", member: "tarfile.TarInfo") -> bytes:
    stream = archive.extractfile(member)
    if stream is None or member.size > _LARGEST_CONTROL_FILE:
        raise _malformed(f"its {member.name} is larger than 16 MiB")
    return stream.read()


def _deb_members(data: bytes) -> dict[str, tuple[str, bytes]]:
    """Return `control` and `data`, each as its compression and its bytes."""
    members = list(_ar_members(data))
    names = [name for name, _ in members]
    stems = [name.split(".tar")[0] for name in names]
    if stems[:3] != ["debian-binary", "control", "data"] or len(members) != 3:
        raise _malformed(f"its members are {names}, not debian-binary, control.tar and data.tar")
    if not members[0][1].startswith(b"2."):
        raise _malformed("it is not in format 2")
    return {stem: (name.rpartition(".")[2], body) for stem, (name, body) in zip(stems, members, strict=True)}


def _ar_members(data: bytes) -> Iterator[tuple[str, bytes]]:
    if not data.startswith(_MAGIC):
        raise _malformed("it is not an ar archive")
    position = len(_MAGIC)
    while position < len(data):
        header = data[position : position + _HEADER]
        size_text = header[48:58].strip()
        if len(header) < _HEADER or header[58:] != b"`\n" or not size_text.isdigit():
            raise _malformed(f"it has no ar header at byte {position}")
        start, size = position + _HEADER, int(size_text)
        if start + size > len(data):
            raise _malformed(f"it is cut short: a member ends at byte {start + size} of {len(data)}")
        yield header[:16].decode("ascii", "replace").rstrip(" ").rstrip("/"), data[start : start + size]
        position = start + size + size % 2


@contextmanager
def _tar(compressed: tuple[str, bytes], part: str) -> Iterator["tarfile.TarFile"]:
    """Open a compressed tar from memory; every failure to read it is an `InfrastructureError`."""
    import io
    import lzma
    import tarfile
    import zlib
    from gzip import BadGzipFile

    compression, data = compressed
    modes: dict[str, Any] = {"xz": "r|xz", "gz": "r|gz", "tar": "r|"}
    if compression not in modes:
        raise _malformed(f"its {part}.tar is compressed with `{compression}`; xz, gz and none are read")
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode=modes[compression]) as archive:
            yield archive
    except (tarfile.TarError, lzma.LZMAError, BadGzipFile, zlib.error, EOFError) as error:
        raise _malformed(f"its {part}.tar cannot be read: {error}") from error


def _malformed(why: str) -> InfrastructureError:
    return InfrastructureError(f"a Debian package is malformed: {why}", code="package-malformed")
