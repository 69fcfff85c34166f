"""`evalctl image check`: build twice, compare, and say what differs."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from launcher.cli.image import Mirrors, Network, Recipe, talk, workshop_of
from launcher.cli.options import Json
from launcher.cli.output import print_json
from launcher.cli.targets import read_target
from launcher.image.check import CheckReport, Expectations, check_image
from launcher.store.home import find_home, make_private

_CHILD = (sys.executable, "-P", "-m", "launcher.cli.rebuild")


def check(
    recipe: Recipe,
    blueprint: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A blueprint or lock that pins this image; repeatable."),
    ] = None,
    mirror: Mirrors = None,
    network: Network = False,
    as_json: Json = False,
) -> int:
    """Build an image twice, elsewhere; compare.

    Folder, umask, time zone, hash seed and locale differ between the two builds. What comes out is also
    compared with DIR/layout, if it is there, and with what the blueprints named pin.
    """
    pinned = {str(file): read_target(file).blueprint.image.digest for file in blueprint or ()}
    expectations = Expectations(recipe / "layout", pinned)
    cache = make_private(find_home().cache)
    with tempfile.TemporaryDirectory(prefix="check-", dir=cache) as folder:
        report = check_image(
            recipe,
            expectations,
            child=_CHILD,
            folder=Path(folder),
            workshop=workshop_of(mirror, network=network, progress=talk(as_json=as_json)),
        )
    print_json(_as_json(report)) if as_json else _print(report)
    return 1 if report.differences else 0


def _print(report: CheckReport) -> None:
    for number, (surroundings, pins) in enumerate(report.builds, 1):
        print(f"build {number}   {pins.manifest}  {surroundings}")
    for name, digest in report.expected:
        print(f"expected  {digest}  {name}")
    for difference in report.differences:
        path = f": {difference.path}" if difference.path else ""
        print(f"differs   {difference.where}{path}: {difference.what}")
    if not report.differences:
        print(f"the same  config {report.image.config}")
        for diff_id in report.image.diff_ids:
            print(f"          layer {diff_id}")


def _as_json(report: CheckReport) -> dict[str, Any]:
    from msgspec import to_builtins

    image = report.image
    return {
        "equal": not report.differences,
        "digest": image.manifest,
        "config": image.config,
        "diff_ids": list(image.diff_ids),
        "builds": [
            {
                "surroundings": surroundings,
                "digest": pins.manifest,
                "config": pins.config,
                "diff_ids": list(pins.diff_ids),
            }
            for surroundings, pins in report.builds
        ],
        "expected": [{"name": name, "digest": digest} for name, digest in report.expected],
        "differences": to_builtins(report.differences),
    }
