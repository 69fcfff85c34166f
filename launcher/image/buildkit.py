"""Build a folder with a Dockerfile through BuildKit, told to leave out what changes from build to build.

Every time in the image is SOURCE_DATE_EPOCH, layers are plain tars, no provenance is attached, and `RUN` has
no network unless that is asked for. Whether what `RUN` does comes out the same twice is for
`evalctl image check DIR` to tell.
"""

import os
import shutil
from collections import deque
from pathlib import Path
from typing import Any

from launcher.errors import CheckFailedError, MalformedError, RequirementError
from launcher.image.dockerfile import refuse_unpinned, source_time
from launcher.image.finished import BuiltImage
from launcher.image.staging import put_in_place, staging_folder
from launcher.image.workshop import Workshop
from launcher.sources.layout import open_only_image
from launcher.spec.image import PLATFORM

DOCKERFILE = "Dockerfile"
_LAST_LINES = 15


def build_dockerfile(folder: Path, destination: Path, workshop: Workshop) -> BuiltImage:
    """Build `folder`'s Dockerfile as a layout at `destination`.

    Raises `MalformedError` where it names something by tag, `RequirementError` where there is no BuildKit,
    `CheckFailedError` where the build fails.
    """
    text = _read(folder / DOCKERFILE)
    refuse_unpinned(text, str(folder / DOCKERFILE))
    client = _client(workshop)
    waiting = "waiting for another build"
    with staging_folder(destination, lambda: workshop.progress(waiting)) as staging:
        context = staging / "context"
        ours = {path.name for path in (destination, staging) if path.resolve().parent == folder.resolve()}
        _copy_context(folder, context, ours, source_time(text))
        _run(client, context, staging / "layout", source_time(text), workshop)
        _, pins = open_only_image(staging / "layout", PLATFORM)
        put_in_place(staging / "layout", destination)
    return BuiltImage(pins.named, pins.config, pins.diff_ids, destination)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise MalformedError(f"`{path}` cannot be read: {error}", code="recipe-not-found") from error


def _client(workshop: Workshop) -> Any:
    """Return a client whose buildx answers."""
    from python_on_whales import DockerClient
    from python_on_whales.exceptions import DockerException

    if shutil.which("docker") is None:
        raise _no_buildkit("there is no `docker` on the PATH")
    client = DockerClient()
    try:
        version = client.buildx.version()
    except DockerException as error:
        raise _no_buildkit("`docker buildx version` gave an error") from error
    workshop.progress(f"building with {version}")
    return client


def _copy_context(folder: Path, context: Path, left_out: set[str], time: int) -> None:
    """Copy the build context with modes and times that say nothing of this machine; links stay links."""

    def leave_out(place: str, names: list[str]) -> set[str]:
        return left_out & set(names) if Path(place) == folder else set()

    shutil.copytree(folder, context, symlinks=True, ignore=leave_out, copy_function=shutil.copyfile)
    for path in [context, *context.rglob("*")]:
        if path.is_symlink():
            continue
        is_open = path.is_dir() or (folder / path.relative_to(context)).stat().st_mode & 0o100
        path.chmod(0o755 if is_open else 0o644)
        os.utime(path, (time, time))


def _run(client: Any, context: Path, layout: Path, time: int, workshop: Workshop) -> None:
    from python_on_whales.exceptions import DockerException

    last: deque[str] = deque(maxlen=_LAST_LINES)
    try:
        for line in client.buildx.build(
            context,
            file=context / DOCKERFILE,
            build_args={"SOURCE_DATE_EPOCH": str(time)},
            cache=workshop.layouts is not None,
            network="default" if workshop.network else "none",
            output=_output(layout),
            platforms=[PLATFORM],
            progress="plain",
            provenance=False,
            sbom=False,
            stream_logs=True,
        ):
            if said := line.rstrip():
                last.append(said)
                workshop.progress(f"  {said}")
    except DockerException as error:
        raise _failed("\n".join(last)) from error


def _output(layout: Path) -> dict[str, str]:
    return {
        "type": "oci",
        "dest": str(layout),
        "tar": "false",
        "rewrite-timestamp": "true",
        "compression": "uncompressed",
        "force-compression": "true",
        "oci-mediatypes": "true",
    }


def _failed(last: str) -> CheckFailedError | RequirementError:
    if "OCI exporter is not supported for the docker driver" in last:
        return RequirementError(
            "this machine's BuildKit cannot write an OCI layout",
            code="buildkit-unavailable",
            context="the builder is the engine's own (driver `docker`), which has no OCI exporter",
            hint="make a builder that has: `docker buildx create --use --driver docker-container`",
        )
    return CheckFailedError(
        "the build of the Dockerfile failed",
        code="build-command-failed",
        context=last,
        hint="`RUN` has no network: give it one with `--network`, or copy what it needs into the folder",
    )


def _no_buildkit(why: str) -> RequirementError:
    return RequirementError(
        "a Dockerfile is built by BuildKit, and this machine has none",
        code="buildkit-unavailable",
        context=f"expected Docker's buildx plugin, 0.13 or later; {why}",
        hint="install the package `docker-buildx-plugin` (or `docker-buildx`); or build elsewhere, "
        "`docker save` there, and here `evalctl image import TAR --out LAYOUT`",
    )
