"""`evalctl image`: build, load and look at OCI image layouts."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from launcher.cli.connect import connect
from launcher.cli.options import Json
from launcher.cli.output import print_json, say
from launcher.image.build import build_image
from launcher.image.layout_cache import LayoutCache
from launcher.image.workshop import Workshop, session_in
from launcher.sources.images import remember_pins
from launcher.sources.layout import open_only_image
from launcher.spec.image import PLATFORM, ImagePins
from launcher.store.cache import Cache
from launcher.store.home import find_home, make_private

Recipe = Annotated[
    Path, typer.Argument(metavar="DIR", help="A folder with recipe.toml and its locks, or a Dockerfile.")
]
Mirrors = Annotated[
    list[str] | None,
    typer.Option(
        "--mirror", metavar="PLACE", help="A further place for packages: a URL or a folder; repeatable."
    ),
]

Network = Annotated[
    bool,
    typer.Option(
        "--network", help="Let RUN of a Dockerfile use the network; what it fetches decides the bytes."
    ),
]


def build(
    recipe: Recipe,
    out: Annotated[
        Path | None, typer.Option(metavar="LAYOUT", help="Where to write the layout; default: DIR/layout.")
    ] = None,
    mirror: Mirrors = None,
    network: Network = False,
    as_json: Json = False,
) -> int:
    """Build an image layout from a recipe folder.

    Packages come by their locked sha256 from this home's cache, from the places that this machine's apt
    and pip are configured with, and from `--mirror`. The same bytes come out on every machine. A Dockerfile
    is built by BuildKit; whether the same bytes come out twice, `evalctl image check DIR` tells.
    """
    workshop = workshop_of(mirror, network=network, progress=talk(as_json=as_json))
    built = build_image(recipe, out or recipe / "layout", workshop)
    if as_json:
        print_json(
            {
                "digest": built.digest,
                "config": built.config,
                "diff_ids": list(built.diff_ids),
                "layout": str(built.layout),
            }
        )
    else:
        print(f"{built.digest}  {built.layout}")
    return 0


def load(
    layout: Annotated[Path, typer.Argument(metavar="LAYOUT", help="An OCI image layout: a folder or a tar.")],
    as_json: Json = False,
) -> int:
    """Put a layout into the engine; prove its digest.

    From then on this home runs what pins the image, wherever the layout is.
    """
    opened, pins = open_only_image(layout, PLATFORM)
    engine = connect()
    try:
        identifier = engine.find_image(pins) or engine.load_image(opened, pins)
    finally:
        engine.close()
    remember_pins(pins, Cache(find_home().cache))
    if as_json:
        print_json({"id": identifier, **_digests(pins)})
    else:
        print(f"the engine holds {pins.manifest}\n  as {identifier}")
    return 0


def talk(*, as_json: bool) -> Callable[[str], None]:
    """Return what tells progress on stderr; for a program that reads JSON, nothing does."""
    return (lambda _: None) if as_json and not sys.stderr.isatty() else say


def workshop_of(mirrors: Sequence[str] | None, *, network: bool, progress: Callable[[str], None]) -> Workshop:
    """Return this home's cache and this machine's engine to build with."""
    home = find_home()
    make_private(home.root)
    cache = make_private(home.cache)
    layouts = LayoutCache(cache / "layouts")
    return Workshop(
        make_private(cache / "packages"),
        progress,
        mirrors or (),
        layouts,
        connect,
        network,
        partial(session_in, home),
    )


def _digests(pins: ImagePins) -> dict[str, Any]:
    return {
        "digest": pins.named,
        "config": pins.config,
        "diff_ids": list(pins.diff_ids),
        "platform": pins.platform,
    }
