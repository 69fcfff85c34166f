"""What a blueprint leaves for `evalctl pin` to fill in: digests, checksums, the commit."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from launcher.spec.grammars import COMMIT
from launcher.spec.positions import Path

_REFERENCE = re.compile(r"(?!-)[^\s\x00-\x1f\x7f:?*\[\\]{1,255}")


def open_pins(values: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the key paths that lack a pin: absent, empty, an image without digest, a branch or tag."""
    image, code = values.get("image"), values.get("code")
    reference = image.get("ref") if isinstance(image, dict) else None
    if isinstance(reference, str) and reference and "@" not in reference:
        yield ("image", "ref")
    if isinstance(code, dict) and _is_open(code.get("commit", "")):
        yield ("code", "commit")
    for path, item in input_tables(values):
        if item.get("sha256", "") == "":
            yield (*path, "sha256")


def input_tables(values: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the tables of models and data that are tables at all, with their key paths."""
    for kind in ("model", "data"):
        items = values.get(kind)
        for index, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict):
                yield (kind, index), item


def _is_open(commit: Any) -> bool:
    """Say whether `commit` is nothing yet, or what git may know as a branch, a tag or a short id."""
    if not isinstance(commit, str) or re.fullmatch(COMMIT, commit):
        return False
    return not commit or _REFERENCE.fullmatch(commit) is not None
