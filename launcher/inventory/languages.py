"""Packages that pip, conda and npm installed, wherever in the image they lie."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from launcher.environment.packages import Ecosystem, Gap, HashName, Package
from launcher.inventory.files import Files, Placed
from launcher.inventory.texts import decoded, json_table, tidy, tidy_url

Found = Package | Gap

_PYTHON: Final = re.compile(r"(?P<folder>.+\.dist-info)/METADATA|(?P<egg>.+\.egg-info)(?:/PKG-INFO)?")
_CONDA: Final = re.compile(r"(?:.+/)?conda-meta/[^/]+\.json")
_NPM: Final = re.compile(r"(?:.+/)?node_modules/(?:@[^/]+/)?[^/@][^/]*/package\.json")
_LOCK: Final = ".package-lock.json"
_LENGTHS: Final[Mapping[str, tuple[HashName, int]]] = {
    "md5": ("MD5", 16),
    "sha1": ("SHA-1", 20),
    "sha256": ("SHA-256", 32),
    "sha512": ("SHA-512", 64),
}


def language_packages(files: Files) -> Iterator[Found]:
    """Yield what each language's package manager left, and what of it could not be read."""
    yield from _each(files, "pypi", _PYTHON)
    yield from _each(files, "conda", _CONDA)
    locked = _npm_locks(files)
    for found in _each(files, "npm", _NPM):
        yield _with_lock(found, locked)


def _each(files: Files, ecosystem: Ecosystem, pattern: re.Pattern[str]) -> Iterator[Found]:
    readers = {"pypi": _python, "conda": _conda, "npm": _npm}
    for path, placed in files.matching(lambda path: pattern.fullmatch(path) is not None):
        if placed.held.fault:
            yield Gap(ecosystem, path, placed.held.fault)
        elif (package := readers[ecosystem](files, path, placed)) is not None:
            yield package
        elif ecosystem != "npm":
            # A package.json without name or version is usual: it only says what kind of modules lie there.
            yield Gap(ecosystem, path, "it names no package and version")


def _python(files: Files, path: str, placed: Placed) -> Package | None:
    """Read core metadata (https://packaging.python.org/en/latest/specifications/core-metadata/)."""
    fields: dict[str, str] = {}
    classifiers = []
    for line in decoded(placed.held.data).split("\n"):
        if not line.strip():
            break
        name, colon, value = line.partition(":")
        if colon and line[:1] not in (" ", "\t"):
            fields.setdefault(name.lower(), value.strip())
            if name.lower() == "classifier" and value.strip().startswith("License :: "):
                classifiers.append(tidy(value.rpartition("::")[2]))
    name, version = tidy(fields.get("name")), tidy(fields.get("version"))
    if not name or not version:
        return None
    expression = tidy(fields.get("license-expression"))
    declared = tidy(fields.get("license"), 100)
    folder = path.removesuffix("/METADATA") if path.endswith(".dist-info/METADATA") else ""
    installed = _how_installed(files, folder) if folder else {}
    return Package(
        "pypi",
        name,
        version,
        path,
        placed.layer,
        licences=(expression,)
        if expression
        else tuple(sorted({*classifiers})) or ((declared,) if declared else ()),
        is_expression=bool(expression),
        origin=installed.get("origin", ()),
        url=installed.get("url", ""),
        hashes=installed.get("hashes", ()),
    )


def _how_installed(files: Files, folder: str) -> dict[str, Any]:
    """Return who installed a distribution and from where, as its folder says (PEP 376, 610, 627)."""
    found: dict[str, Any] = {"origin": []}
    if (placed := files.find(f"{folder}/INSTALLER")) and (name := tidy(decoded(placed.held.data))):
        found["origin"].append(("installer", name))
    if (placed := files.find(f"{folder}/RECORD")) and placed.held.sha256:
        found["origin"].append(("record-sha256", placed.held.sha256))
    if placed := files.find(f"{folder}/direct_url.json"):
        direct = json_table(placed.held.data) or {}
        found["url"] = tidy_url(direct.get("url"))
        archive, revision = direct.get("archive_info"), direct.get("vcs_info")
        if isinstance(archive, dict) and isinstance(archive.get("hashes"), dict):
            found["hashes"] = _hex_hashes(archive["hashes"])
        if isinstance(revision, dict) and (commit := tidy(revision.get("commit_id"))):
            found["origin"].append(("commit", commit))
    found["origin"] = tuple(found["origin"])
    return found


def _hex_hashes(table: Mapping[Any, Any]) -> tuple[tuple[HashName, str], ...]:
    found = []
    for name, (word, length) in _LENGTHS.items():
        value = table.get(name)
        if isinstance(value, str) and re.fullmatch(rf"[0-9a-fA-F]{{{2 * length}}}", value):
            found.append((word, value.lower()))
    return tuple(found)


def _conda(_: Files, path: str, placed: Placed) -> Package | None:
    table = json_table(placed.held.data) or {}
    name, version, build = (tidy(table.get(key)) for key in ("name", "version", "build"))
    if not name or not version:
        return None
    channel = tidy_url(table.get("channel")).rpartition("/")[2] or tidy(table.get("channel"))
    named = {"build": build, "channel": channel, "subdir": tidy(table.get("subdir"))}
    licence = tidy(table.get("license"))
    return Package(
        "conda",
        name,
        version,
        path,
        placed.layer,
        qualifiers=tuple((key, value) for key, value in named.items() if value),
        licences=(licence,) if licence else (),
        url=tidy_url(table.get("url")),
        hashes=_hex_hashes(table),
    )


def _npm(_: Files, path: str, placed: Placed) -> Package | None:
    table = json_table(placed.held.data) or {}
    whole, version = tidy(table.get("name")), tidy(table.get("version"))
    if not whole or not version:
        return None
    namespace, slash, name = whole.rpartition("/")
    declared = table.get("license")
    licence = tidy(declared.get("type") if isinstance(declared, dict) else declared)
    return Package(
        "npm",
        name if slash else whole,
        version,
        path,
        placed.layer,
        namespace=namespace,
        licences=(licence,) if licence else (),
        url=tidy_url(table.get("_resolved")),
        hashes=_integrity(table.get("_integrity")),
    )


def _npm_locks(files: Files) -> dict[str, Mapping[str, str]]:
    """Return what npm's hidden lock files say of each installed package, by its package.json."""
    found: dict[str, Mapping[str, str]] = {}
    for path, placed in files.matching(lambda path: path.endswith(f"node_modules/{_LOCK}")):
        listed = (json_table(placed.held.data) or {}).get("packages")
        root = path.removesuffix(f"node_modules/{_LOCK}")
        for place, entry in listed.items() if isinstance(listed, dict) else ():
            described = f"{root}{place}/package.json"
            if isinstance(entry, dict) and (described in files.placed or described in files.links):
                said = {key: tidy(entry.get(key), 1000) for key in ("resolved", "integrity")}
                found[described] = said
    return found


def _with_lock(found: Found, locked: Mapping[str, Mapping[str, str]]) -> Found:
    from msgspec.structs import replace

    if isinstance(found, Gap) or (entry := locked.get(found.path)) is None:
        return found
    url, hashes = tidy_url(entry.get("resolved")), _integrity(entry.get("integrity"))
    return replace(found, url=url or found.url, hashes=hashes or found.hashes)


def _integrity(value: Any) -> tuple[tuple[HashName, str], ...]:
    """Return the hashes of a subresource-integrity text (https://www.w3.org/TR/SRI/)."""
    found = {}
    for word in value.split()[:4] if isinstance(value, str) else ():
        name, dash, text = word.partition("-")
        try:
            digest = base64.b64decode(text, validate=True) if dash else b""
        except binascii.Error:
            continue
        if name in _LENGTHS and len(digest) == _LENGTHS[name][1]:
            found[_LENGTHS[name][0]] = digest.hex()
    return tuple(sorted(found.items()))
