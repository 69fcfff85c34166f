"""Write layer tars whose bytes depend on the files alone: sorted, root-owned, one fixed time.

Headers are POSIX ustar, with a pax header (https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html)
only where a name does not fit. They are made here and not by `tarfile`, whose choices differ between versions
of Python.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from launcher.errors import InfrastructureError
from launcher.image.tree import Node, Spool

_BLOCK = 512
_NAME, _LARGEST = 100, 8**11 - 1
_TYPES = {"file": b"0", "symlink": b"2", "directory": b"5"}


def layer_tar(nodes: Mapping[str, Node], spool: Spool, *, time: int) -> Iterator[bytes]:
    """Yield the tar of `nodes`, sorted by the UTF-8 bytes of their paths, every time set to `time`."""
    for path, node in sorted(nodes.items(), key=lambda item: item[0].encode()):
        yield member_header(path + "/" * (node.kind == "directory"), node, time=time)
        if node.extent is not None:
            yield from spool.chunks(node.extent)
            yield padding(node.extent.size)
    yield bytes(2 * _BLOCK)


def member_header(name: str, node: Node, *, time: int) -> bytes:
    """Return the header blocks of one member."""
    size = node.extent.size if node.extent else 0
    if size > _LARGEST:
        raise InfrastructureError(f"`{name}` is larger than 8 GiB", code="image-member-refused")
    header = _Header(_fit(name), node.mode, size, _TYPES[node.kind], _fit(node.target)).block(time)
    records = b"".join(
        _pax_record(key, value)
        for key, value in (("path", name), ("linkpath", node.target))
        if len(value.encode()) > _NAME or not value.isascii()
    )
    if not records:
        return header
    extended = _Header(b"PaxHeaders/member", 0o644, len(records), b"x").block(time)
    return extended + records + padding(len(records)) + header


def padding(size: int) -> bytes:
    """Return the zeros that fill a member of `size` bytes up to a whole block."""
    return bytes(-size % _BLOCK)


def _fit(text: str) -> bytes:
    return text.encode()[:_NAME]


def _pax_record(key: str, value: str) -> bytes:
    """Return one `LENGTH KEY=VALUE` record, whose length counts its own digits."""
    body = f" {key}={value}\n".encode()
    length = len(body)
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


class _Header(Struct, frozen=True):
    name: bytes
    mode: int
    size: int
    kind: bytes
    target: bytes = b""

    def block(self, time: int) -> bytes:
        fields = (
            self.name.ljust(100, b"\0"),
            b"%07o\0%07o\0%07o\0" % (self.mode, 0, 0),
            b"%011o\0%011o\0" % (self.size, time),
            b" " * 8,
            self.kind,
            self.target.ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(247),
        )
        block = b"".join(fields)
        return block[:148] + b"%06o\0 " % sum(block) + block[156:]
