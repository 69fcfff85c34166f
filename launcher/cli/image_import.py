"""`evalctl image import`: a tar of an image becomes a layout that a blueprint can pin."""

from pathlib import Path
from typing import Annotated

import typer

from launcher.cli.image import talk
from launcher.cli.options import Json
from launcher.cli.output import print_json
from launcher.image.archive import import_archive
from launcher.spec.image import PLATFORM


def import_(
    archive: Annotated[
        Path,
        typer.Argument(metavar="TAR", help="What `docker save` wrote, or a tar of an OCI layout; .gz too."),
    ],
    out: Annotated[Path, typer.Option(metavar="LAYOUT", help="Where to write the layout.")],
    image: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which one, by name or digest, where TAR holds several images."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Make a layout of a tar that docker saved.

    The configuration's bytes are kept, so that its digest stays the Id that the engine shows. The digest that
    is printed is what a blueprint pins: ref = "oci:LAYOUT@DIGEST".
    """
    pins = import_archive(archive, out, image=image, platform=PLATFORM, progress=talk(as_json=as_json))
    if as_json:
        print_json(
            {"digest": pins.named, "config": pins.config, "diff_ids": list(pins.diff_ids), "layout": str(out)}
        )
    else:
        print(f"{pins.named}  {out}")
    return 0
