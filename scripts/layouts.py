"""Build the image layouts that the blueprints pin."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from scripts.console import Console, SetupError

# So large that nobody should get one unasked: `make harness` builds them, `make setup` does not.
LARGE = frozenset({"eval-harness"})

_REFERENCE = re.compile(r"oci:(?P<path>.+)@(?P<digest>sha256:[0-9a-f]{64})")


def ensure_layouts(root: Path, console: Console) -> None:
    """Build each layout under `images/` that a blueprint pins and that is not there yet, but no large one.

    Raises `SetupError` where what was built is not what is pinned.
    """
    _ensure(root, console, large=False)


def ensure_large_layouts(root: Path, console: Console) -> None:
    """Build the layouts that `ensure_layouts` leaves out."""
    _ensure(root, console, large=True)


def _ensure(root: Path, console: Console, *, large: bool) -> None:
    for layout, (digest, blueprint) in pinned_layouts(root).items():
        if (layout.parent.name in LARGE) is not large:
            continue
        name = layout.parent.relative_to(root)
        if digest not in held_digests(layout):
            console.run(
                [root / ".venv" / "bin" / "evalctl", "image", "build", str(name)],
                f"image: building {name}",
                folder=root,
            )
        held = held_digests(layout)
        if digest not in held:
            found = ", ".join(sorted(held)) or "nothing"
            raise SetupError(f"`{blueprint}` pins {digest}, but `{name}/layout` holds {found}")
        console.say(f"image: {name} is {digest[:19]}...")


def pinned_layouts(root: Path) -> Mapping[Path, tuple[str, Path]]:
    """Return, for each `images/NAME/layout` a blueprint pins, the digest and the blueprint that names it."""
    pins: dict[Path, tuple[str, Path]] = {}
    for blueprint in sorted(root.glob("blueprints/*/blueprint.toml")):
        reference = tomllib.loads(blueprint.read_text())["image"]["ref"]
        match = _REFERENCE.fullmatch(reference)
        layout = (blueprint.parent / match["path"]).resolve() if match else None
        if match and layout and layout.parent.parent == root.resolve() / "images":
            pins[layout] = (match["digest"], blueprint.relative_to(root))
    return pins


def held_digests(layout: Path) -> set[str]:
    """Return the digests that the layout's index names; none where there is no layout."""
    try:
        index = json.loads((layout / "index.json").read_bytes())
        return {manifest["digest"] for manifest in index["manifests"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
