"""Build an image twice in different surroundings and see that the same bytes come out.

Each build is a process of its own, in another folder, with another umask, time zone, hash seed and locale.
No finished layout is taken from a cache: packages are, by their SHA-256.
"""

import json
import os
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from launcher.errors import EvalctlError, InfrastructureError
from launcher.image.build import is_dockerfile_folder
from launcher.image.differences import Difference, HeldImage, image_differences
from launcher.image.places import Cache, Places, gather
from launcher.image.recipe import load_recipe
from launcher.image.workshop import Workshop
from launcher.sources.layout import layer_stream, open_only_image
from launcher.spec.image import PLATFORM, ImagePins


class Surroundings(Struct, frozen=True):
    """What must not matter: where a build lies, and what its process inherits."""

    folder: str
    umask: int
    variables: Mapping[str, str]

    def __str__(self) -> str:
        return ", ".join([f"umask {self.umask:03o}", *(f"{k}={v}" for k, v in self.variables.items())])


TWICE = (
    Surroundings("first", 0o022, {"TZ": "UTC", "PYTHONHASHSEED": "1", "LC_ALL": "C.UTF-8"}),
    Surroundings(
        "second/far/below", 0o077, {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "2", "LC_ALL": "C", "LANG": "de_DE"}
    ),
)


class CheckReport(Struct, frozen=True):
    """What two builds gave, the digests they were held against (name to digest), and what differs."""

    image: ImagePins
    builds: tuple[tuple[str, ImagePins], ...]
    expected: tuple[tuple[str, str], ...]
    differences: tuple[Difference, ...]


class Expectations(Struct, frozen=True):
    """What the image should be: the layout that exists, if any, and digests by who pins them."""

    layout: Path | None
    pinned: Mapping[str, str]


def check_image(
    recipe: Path, expectations: Expectations, *, child: Sequence[str], folder: Path, workshop: Workshop
) -> CheckReport:
    """Build `recipe` twice below `folder` with the command `child`, and compare.

    `child` is called with RECIPE, LAYOUT, PACKAGES and perhaps `network`; it prints one JSON object. Raises
    the error of a build that fails.
    """
    if not is_dockerfile_folder(recipe):
        gather(load_recipe(recipe), Places(Cache(workshop.packages), workshop.mirrors, workshop.progress))
    held = []
    for number, surroundings in enumerate(TWICE, 1):
        place = folder / surroundings.folder
        place.mkdir(parents=True)
        workshop.progress(f"build {number} of {len(TWICE)}: {surroundings}")
        command = [*child, str(recipe.resolve()), str(place / "layout"), str(workshop.packages.resolve())]
        command += ["network"] if workshop.network else []
        _run(command, place, surroundings, workshop)
        held.append(_held(place / "layout"))
    workshop.progress("comparing")
    first, second = held
    differences = list(image_differences(first, second))
    expected = [*_expected_layout(expectations.layout, first, differences)]
    for name, digest in expectations.pinned.items():
        expected.append((name, digest))
        if digest != first.pins.manifest:
            differences.append(Difference(name, "", f"it pins {digest}, built was {first.pins.manifest}"))
    builds = tuple((str(one), each.pins) for one, each in zip(TWICE, held, strict=True))
    return CheckReport(first.pins, builds, tuple(expected), tuple(differences))


def _expected_layout(
    layout: Path | None, built: HeldImage, differences: list[Difference]
) -> list[tuple[str, str]]:
    """Compare with the layout that is there, where there is one; add what differs to `differences`."""
    if layout is None or not layout.exists():
        return []
    existing = _held(layout)
    try:
        found = image_differences(built, existing)
        for at in range(len(existing.pins.diff_ids)):
            deque(layer_stream(existing.layout, existing.pins, at), maxlen=0)
    except InfrastructureError as error:
        found = (Difference("damaged", "", ": ".join(filter(None, (error.message, error.context)))),)
    for difference in found:
        differences.append(Difference(f"{layout}: {difference.where}", difference.path, difference.what))
    return [(str(layout), existing.pins.manifest)]


def _held(path: Path) -> HeldImage:
    return HeldImage(*open_only_image(path, PLATFORM))


def _run(command: Sequence[str], folder: Path, surroundings: Surroundings, workshop: Workshop) -> None:
    """Run one build to its end, its progress passed on line by line."""
    own = {"PYTHONPATH", *(key for key in os.environ if not key.startswith("PYTHON"))}
    variables = {key: value for key, value in os.environ.items() if key in own}
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**variables, **surroundings.variables},
        umask=surroundings.umask,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        last = ""
        try:
            for line in process.stderr or ():
                last = line.rstrip()
                workshop.progress(f"  {last}")
            answer = process.stdout.read() if process.stdout else ""
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise _failure(answer, last or f"it ended with {process.returncode}")


def _failure(answer: str, last: str) -> EvalctlError:
    """Return the error that a build printed, of the class that has its exit code."""
    error: dict[str, Any] = {"message": "a build failed", "code": "image-build-failed", "context": last}
    status = InfrastructureError.exit_status
    with suppress(ValueError, KeyError, TypeError):
        table = json.loads(answer)
        error, status = table["error"], table["exit"]
    kinds = {kind.exit_status: kind for kind in EvalctlError.__subclasses__()}
    kind = kinds.get(status, InfrastructureError)
    return kind(
        str(error["message"]), code=str(error["code"]), context=error.get("context"), hint=error.get("hint")
    )
