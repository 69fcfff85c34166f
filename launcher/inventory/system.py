"""Packages of Linux distributions: what dpkg, rpm and apk say is installed."""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from launcher.digest import sha256_hex
from launcher.environment.packages import Ecosystem, Gap, HashName, Package
from launcher.errors import MalformedError
from launcher.inventory.files import Files, Placed
from launcher.inventory.interest import WRITE_AHEAD
from launcher.inventory.rpm import rpm_packages
from launcher.inventory.texts import decoded, lines_of, paragraphs, tidy

Found = Package | Gap

_STATUS: Final = "var/lib/dpkg/status"
_APK: Final = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
_RPM: Final = tuple(
    f"{folder}/{name}"
    for folder in ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm")
    for name in ("rpmdb.sqlite", "Packages.db", "Packages")
)
_SOURCE: Final = re.compile(r"(?P<name>[^ (]+)(?: \((?P<version>[^)]+)\))?")
_MOST_LICENCES: Final = 30
_MOST_PACKAGES: Final = 50_000


def system_of(files: Files) -> tuple[str, str, str]:
    """Return ID, VERSION_ID and PRETTY_NAME of the image's `os-release`; empty where it has none."""
    placed = files.find("etc/os-release") or files.find("usr/lib/os-release")
    fields = {}
    for line in decoded(placed.held.data).splitlines() if placed else ():
        name, _, value = line.partition("=")
        fields[name.strip()] = tidy(value.strip().strip("\"'"))
    return fields.get("ID", ""), fields.get("VERSION_ID", ""), fields.get("PRETTY_NAME", "")


def system_packages(files: Files) -> Iterator[Found]:
    """Yield what each distribution's package manager says, and what of it could not be read."""
    system = system_of(files)
    distribution = "-".join(part for part in system[:2] if part)
    licences = _Licences(files)
    readers: tuple[tuple[Ecosystem, tuple[str, ...], Callable[[bytes, str], Iterable[Package]]], ...] = (
        ("deb", (_STATUS,), _dpkg),
        ("apk", _APK, _apk),
        ("rpm", _RPM, rpm_packages),
    )
    for ecosystem, paths, read in readers:
        for path in paths:
            if (placed := files.find(path)) is not None:
                for found in _database(files, path, placed, (ecosystem, read)):
                    yield _of(found, licences, system[0], distribution)
                yield from _unmerged(files, path)
    for path, placed in files.matching(lambda path: path.startswith("var/lib/dpkg/status.d/")):
        for found in _read(path, placed, ("deb", _dpkg)):
            yield _of(found, licences, system[0], distribution)


def _of(found: Found, known: "_Licences", system: str, distribution: str) -> Found:
    """Add what the package's own record does not hold: the distribution, and Debian's licences."""
    from msgspec.structs import replace

    if isinstance(found, Gap):
        return found
    qualifiers = tuple(sorted((*found.qualifiers, *((("distro", distribution),) if distribution else ()))))
    licences = found.licences or (known.of(found.name) if found.ecosystem == "deb" else ())
    namespace = found.namespace or system or {"deb": "debian", "apk": "alpine"}.get(found.ecosystem, "")
    return replace(found, namespace=namespace, qualifiers=qualifiers, licences=licences)


def _database(
    files: Files,
    path: str,
    placed: Placed,
    reader: tuple[Ecosystem, Callable[[bytes, str], Iterable[Package]]],
) -> Iterator[Found]:
    """Read a database; a package is from the lowest layer since which it stood there in this version."""
    from msgspec.structs import replace

    brought: dict[tuple[str, ...], str] = {}
    for state in files.rewritten.get(path, [])[:-1]:
        listed = [each for each in _read(path, state, reader) if isinstance(each, Package)]
        brought = {_key(each): brought.get(_key(each), state.layer) for each in listed}
    for found in _read(path, placed, reader):
        known = isinstance(found, Package) and brought.get(_key(found))
        yield replace(found, layer=known) if known and isinstance(found, Package) else found


def _unmerged(files: Files, path: str) -> Iterator[Gap]:
    """Yield a gap where the last changes of an sqlite database lie beside it."""
    place = f"{path}-wal"
    log = files.find(place) if place.endswith(WRITE_AHEAD) else None
    if log is not None and log.held.sha256 != sha256_hex(b""):
        yield Gap("rpm", place, "the write-ahead log was not merged")


def _key(package: Package) -> tuple[str, ...]:
    return (package.name, package.version, dict(package.qualifiers).get("arch", ""))


def _read(
    path: str, placed: Placed, reader: tuple[Ecosystem, Callable[[bytes, str], Iterable[Package]]]
) -> Iterator[Found]:
    from msgspec.structs import replace

    ecosystem, read = reader
    if placed.held.fault:
        yield Gap(ecosystem, path, placed.held.fault)
        return
    try:
        for count, package in enumerate(read(placed.held.data, path)):
            if count >= _MOST_PACKAGES:
                yield Gap(ecosystem, path, f"it lists more than {_MOST_PACKAGES} packages")
                return
            yield replace(package, layer=placed.layer)
    except MalformedError as error:
        yield Gap(ecosystem, path, error.message)


def _dpkg(data: bytes, path: str) -> Iterator[Package]:
    for fields in paragraphs(decoded(data)):
        state = fields.get("status", "installed").split()
        name, version = tidy(fields.get("package")), tidy(fields.get("version"))
        if not name or state[-1:] in (["config-files"], ["not-installed"]):
            continue
        source = _SOURCE.fullmatch(tidy(fields.get("source"))) or _SOURCE.fullmatch(name)
        origin = [("source-package", source["name"] if source else name)]
        origin.append(("source-version", (source["version"] if source else None) or version))
        arch = tidy(fields.get("architecture"))
        yield Package(
            "deb", name, version, path, qualifiers=(("arch", arch),) if arch else (), origin=tuple(origin)
        )


class _Licences:
    """What copyright files name, where they are written to be read by programs; each is read once.

    Many packages may lead to one file. https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._read: dict[tuple[str, int], tuple[str, ...]] = {}

    def of(self, name: str) -> tuple[str, ...]:
        """Return the licences of a Debian package."""
        placed = self._files.find(f"usr/share/doc/{name}/copyright")
        if placed is None or b"copyright-format" not in placed.held.data[:2000]:
            return ()
        key = (placed.layer, id(placed.held))
        if key not in self._read:
            found = {tidy(fields.get("license"), 100) for fields in paragraphs(decoded(placed.held.data))}
            self._read[key] = tuple(sorted(found - {""}))[:_MOST_LICENCES]
        return self._read[key]


def _apk(data: bytes, path: str) -> Iterator[Package]:
    """Yield what `lib/apk/db/installed` lists (https://wiki.alpinelinux.org/wiki/Apk_spec)."""
    for fields in _apk_records(decoded(data)):
        yield Package(
            "apk",
            fields["P"],
            fields.get("V", ""),
            path,
            qualifiers=(("arch", fields["A"]),) if fields.get("A") else (),
            licences=(fields["L"],) if fields.get("L") else (),
            origin=_apk_origin(fields),
            hashes=_apk_hash(fields.get("C", "")),
        )


def _apk_records(text: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    for line in chain(lines_of(text), [""]):
        if not line:
            if fields.get("P"):
                yield fields
            fields = {}
        elif line[1:2] == ":" and line[0].isascii():
            fields.setdefault(line[0], tidy(line[2:]))


def _apk_origin(fields: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    named = (("source-package", "o"), ("commit", "c"))
    return tuple((word, fields[letter]) for word, letter in named if fields.get(letter))


def _apk_hash(text: str) -> tuple[tuple[HashName, str], ...]:
    """Return apk's checksum of a package's control part: `Q1` and the base64 of a SHA-1."""
    try:
        digest = base64.b64decode(text.removeprefix("Q1"), validate=True) if text.startswith("Q1") else b""
    except binascii.Error:
        digest = b""
    return (("SHA-1", digest.hex()),) if len(digest) == 20 else ()
