"""Read tars whose headers would otherwise be held in memory, or followed, without bound."""

import tarfile
from typing import Any, Final

# Some versions of Python search them in quadratic time (CVE-2024-6232).
_LONGEST: Final = 16 << 10
_MOST: Final = 64
_EXTENSIONS: Final = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class _BoundedHeader(tarfile.TarInfo):
    """A header whose extensions (long names, pax records) are short and few; none speaks of holes."""

    def _proc_member(self, archive: "BoundedTar") -> tarfile.TarInfo:
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError("a file with holes")
        if self.type in _EXTENSIONS:
            archive.count_extension(self)
        else:
            archive.in_a_row = 0
        member: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return member

    def _proc_gnusparse_10(self, *_: Any) -> None:
        # Python would read on for as many holes as the archive says there are.
        raise tarfile.ReadError("a file with holes")

    def _block(self, count: int) -> int:
        # Python would go back by so much, and find the same member again.
        if count < 0:
            raise tarfile.ReadError("a negative size")
        rounded: int = super()._block(count)  # type: ignore[misc]
        return rounded


class BoundedTar(tarfile.TarFile):
    """A tar to be read; what is refused raises `tarfile.ReadError`."""

    tarinfo = _BoundedHeader
    members: list[tarfile.TarInfo]
    in_a_row = 0
    _global = 0

    def count_extension(self, header: tarfile.TarInfo) -> None:
        """Refuse an extension that is too long, one of too many in a row, or of too many for all members."""
        if header.size > _LONGEST:
            raise tarfile.ReadError(f"a header of {header.size} bytes")
        self.in_a_row += 1
        self._global += header.type == tarfile.XGLTYPE
        if max(self.in_a_row, self._global) > _MOST:
            raise tarfile.ReadError(f"a header of more than {_MOST} parts")
