"""Compile a recipe's own operators in the sandbox that evaluations run in: no network, nothing of the host.

The compiler, and all it reads beside the sources, comes from an image of its own made of locked packages; it
is run by its digest. What went in and what came out becomes labels of the image that holds the result.
"""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from launcher.canonical import canonical_bytes
from launcher.digest import digest_of
from launcher.errors import CheckFailedError, InfrastructureError
from launcher.image.finished import BuiltImage, builder_inputs, finished_image
from launcher.image.layers import package_tree
from launcher.image.oci import Description, write_layer, write_layout
from launcher.image.places import Cache
from launcher.image.recipe import BuildStep, Config, Recipe
from launcher.image.tar_writer import layer_tar
from launcher.image.tree import Spool, image_path
from launcher.image.workshop import Workshop
from launcher.store.files import open_folders

if TYPE_CHECKING:
    from launcher.engines.engine import ContainerOutcome, ContainerTask

LABEL = "org.w3id.evalctl-launcher.build"
_SOURCES = "/eval/code"
_MIB = 1 << 20
_LIMIT_S = 1800
_LOG_BYTES = 1 << 20


class Operators(Struct, frozen=True):
    """What was compiled: `files` by their path in the image, and the labels that say how."""

    files: Mapping[str, bytes]
    labels: Mapping[str, str]


def compile_operators(recipe: Recipe, step: BuildStep, workshop: Workshop, folder: Path) -> Operators:
    """Run the command of `[build]`; `folder` is the caller's own, on a disk that the engine sees.

    Raises `CheckFailedError` where the command fails or leaves other files than `outputs` names.
    """
    workshop.progress(f"unpacking {len(step.packages)} packages of the compiler")
    builder = _builder_image(recipe, step, workshop, folder / "builder")
    workshop.progress(f"compiling {len(step.sources)} sources with {step.compiler}, without network")
    files = _compiled(recipe, step, workshop, builder, folder / "build")
    return Operators(files, _labels(step, builder, files))


def _builder_image(recipe: Recipe, step: BuildStep, workshop: Workshop, layout: Path) -> BuiltImage:
    """Return the compiler's own image, as a layout."""
    import tempfile

    inputs = builder_inputs(recipe, step)
    if workshop.layouts is None or not workshop.layouts.take(inputs, layout):
        layout.mkdir()
        with tempfile.TemporaryFile(dir=layout.parent) as stream:
            spool = Spool(stream)
            tree = package_tree(step.packages, step.package_filter, Cache(workshop.packages), spool)
            label = f"evalctl image build: {len(step.packages)} Debian packages"
            layer = write_layer(layout, layer_tar(tree.nodes, spool, time=recipe.time), label)
        config = Config("65532:65532", "/", ("PATH=/usr/bin",), {}, ())
        write_layout(layout, Description(recipe.platform, recipe.time, config), [layer], inputs)
        if workshop.layouts is not None:
            workshop.layouts.keep(inputs, layout)
    built = finished_image(layout, inputs)
    if built is None:
        raise InfrastructureError("the compiler's image did not stay as built", code="image-build-failed")
    return built


def _compiled(
    recipe: Recipe, step: BuildStep, workshop: Workshop, builder: BuiltImage, folder: Path
) -> Mapping[str, bytes]:
    """Run the compiler in the engine; return what it left, by path in the image."""
    from launcher.sources.layout import open_layout, pin_image

    for name in ("sources", "out", "logs"):
        (folder / name).mkdir(parents=True)
    _lay_out(step.sources, folder / "sources")
    engine = workshop.connect()
    try:
        layout = open_layout(builder.layout)
        pins = pin_image(layout, builder.digest, recipe.platform)
        image = engine.find_image(pins) or engine.load_image(layout, pins)
        task = _task(recipe, step, image, folder)
        engine.require(task.profile)
        with workshop.session() as labels:
            labelled = replace(task, labels={**task.labels, **labels})
            outcome = engine.run(labelled, _NoObserver(), threading.Event())
    finally:
        engine.close()
    _refuse_failure(outcome, folder)
    _refuse_other_files(step, outcome)
    return {image_path(path): (folder / "out" / file).read_bytes() for path, file in step.outputs.items()}


def _lay_out(sources: Mapping[str, bytes], folder: Path) -> None:
    """Write the sources as they were hashed, open to the sandbox's user whatever our umask is."""
    for name, data in sources.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o444)
    open_folders(folder)


def _task(recipe: Recipe, step: BuildStep, image: str, folder: Path) -> "ContainerTask":
    import os

    from launcher.engines.engine import ContainerTask, Mount
    from launcher.spec.blueprint import Resources, Sandbox
    from launcher.spec.sandbox import profile_for

    own = {
        "PATH": "/usr/bin",
        "HOME": "/tmp",  # noqa: S108 - the container's own, bounded
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "SOURCE_DATE_EPOCH": str(recipe.time),
    }
    return ContainerTask(
        name=f"evalctl-build-{os.urandom(8).hex()}",
        image=image,
        command=step.command,
        environment={**own, **step.environment},
        working_directory=_SOURCES,
        mounts=(Mount((folder / "sources").resolve(), _SOURCES),),
        profile=profile_for(Resources(tmp=512 * _MIB), Sandbox()),
        labels={LABEL: recipe.name},
        timeout=_LIMIT_S,
        outputs=folder / "out",
        logs=folder / "logs",
        log_limit=_LOG_BYTES,
    )


class _NoObserver:
    def samples_so_far(self, count: int) -> None:
        """Take no note: a compiler writes no samples."""


def _refuse_failure(outcome: "ContainerOutcome", folder: Path) -> None:
    if outcome.exit_code == 0 and outcome.outputs.complete and not outcome.oom_killed:
        return
    if outcome.exec_error:
        end = f"it could not be started: {outcome.exec_error}"
    elif outcome.timed_out:
        end = f"it did not end within {_LIMIT_S} seconds"
    elif outcome.oom_killed:
        end = "it ran out of memory"
    else:
        end = f"it ended with {outcome.exit_code if outcome.signal is None else f'signal {outcome.signal}'}"
    said = b"".join((folder / "logs" / name).read_bytes() for name in ("stderr", "stdout"))
    lines = said.decode(errors="replace").strip().splitlines()[:20]
    raise CheckFailedError(
        "the command of [build] failed",
        code="build-command-failed",
        context="\n".join([end, *lines]),
        hint="correct the sources or `command` in recipe.toml, then `evalctl image build FOLDER` again",
    )


def _refuse_other_files(step: BuildStep, outcome: "ContainerOutcome") -> None:
    """Raise `CheckFailedError` unless exactly the files that `outputs` names came out."""
    left = {file.path for file in outcome.outputs.files} | {file.path for file in outcome.outputs.refused}
    wanted = set(step.outputs.values())
    good = {file.path for file in outcome.outputs.files}
    if left == wanted == good:
        return
    missing, extra = sorted(wanted - good), sorted(left - wanted)
    raise CheckFailedError(
        "the command of [build] left other files in /eval/out than `outputs` names",
        code="build-outputs-differ",
        context=f"missing: {', '.join(missing) or 'none'}; not named: {', '.join(extra) or 'none'}",
        hint="correct `command` or `outputs` in recipe.toml",
    )


def _labels(step: BuildStep, builder: BuiltImage, files: Mapping[str, bytes]) -> dict[str, str]:
    """Return what tells a stranger how the files were made, as labels whose values are text or JSON."""
    version = next(package.version for package in step.packages if package.name == step.compiler)
    values = {
        "command": list(step.command),
        "environment": dict(step.environment),
        "sources": {name: digest_of(data) for name, data in step.sources.items()},
        "outputs": {path: digest_of(data) for path, data in files.items()},
    }
    return {
        f"{LABEL}.builder": builder.digest,
        f"{LABEL}.compiler": f"{step.compiler} {version}",
        **{f"{LABEL}.{key}": canonical_bytes(value).decode() for key, value in values.items()},
    }
