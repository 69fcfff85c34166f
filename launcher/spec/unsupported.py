"""What the language knows and this version does not do yet: refused at its place, never ignored."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from launcher.spec.kinds import Fault
from launcher.spec.positions import Path


def _given(value: Any) -> bool:
    return value is not None


def _starts(*prefixes: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value.startswith(prefixes)


_in_layout = _starts("oci:")
_REMOTE = _starts("s3:", "gs:", "hf:", "oci:", "git+https:", "doi:")

_LATER: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("metric.*.definition", _starts("code:"), "a metric computed by code of your own (`code:`)"),
    ("model.*.uri", _REMOTE, "fetching from other than a file or http(s)"),
    ("data.*.uri", _REMOTE, "fetching from other than a file or http(s)"),
    ("code.git", _starts("ssh:", "git:", "git@", "git+"), "cloning over ssh or git's own protocol"),
    ("matrix", _given, "a `[matrix]` of locks"),
)


_DOWNLOAD = "download it and name the file"
_INSTEAD: Mapping[str, str] = {
    "model.*.uri": _DOWNLOAD,
    "data.*.uri": _DOWNLOAD,
    "code.git": "name an https: address, a path or a `git bundle` file",
    "metric.*.definition": "name one that `evalctl metrics` lists",
}


def unsupported(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield a fault for each part of a TOML document that this version of evalctl cannot do yet."""
    for pattern, applies, what in _LATER:
        for path, value in _matches(values, tuple(pattern.split(".")), ()):
            if applies(value):
                instead = _INSTEAD.get(pattern, "leave it out")
                yield Fault(path, f"{what} is not supported by this version of evalctl; {instead}")
    yield from _registry_only(values.get("image"))
    yield from _registry_services(values)


_PULLING = "pulling from a registry is not supported by this version of evalctl"


def _registry_services(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Refuse a service's image that no OCI layout holds, unless it is the evaluation's own."""
    image = values.get("image")
    own = str(image.get("ref")).rpartition("@")[2] if isinstance(image, dict) else None
    for path, reference in _matches(values, ("service", "*", "image"), ()):
        if not isinstance(reference, str) or "@" not in reference or _in_layout(reference):
            continue
        if reference.rpartition("@")[2] != own:
            yield Fault(path, f"{_PULLING}; name an `oci:PATH@sha256:...`")


def _registry_only(image: Any) -> Iterator[Fault]:
    """Refuse an image that no OCI layout holds."""
    reference = image.get("ref") if isinstance(image, dict) else None
    if not isinstance(reference, str) or "@" not in reference:
        return
    mirrors = image.get("mirrors", ())
    places = [reference, *(mirrors if isinstance(mirrors, list) else ())]
    if not any(_in_layout(place) for place in places):
        yield Fault(("image", "ref"), f"{_PULLING}; add an `oci:PATH` to `mirrors`")


def _matches(value: Any, pattern: tuple[str, ...], path: Path) -> Iterator[tuple[Path, Any]]:
    if not pattern:
        yield path, value
    elif pattern[0] == "*" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _matches(item, pattern[1:], (*path, index))
    elif isinstance(value, dict) and pattern[0] in value:
        yield from _matches(value[pattern[0]], pattern[1:], (*path, pattern[0]))
