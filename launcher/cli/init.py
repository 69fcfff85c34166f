"""`evalctl init`."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer
from msgspec import Struct
from msgspec.structs import replace

from launcher.authoring.copying import copy_blueprint, find_blueprint
from launcher.authoring.repository import CHECKOUT, begin_repository, find_repository
from launcher.authoring.scaffold import Scaffold, write_scaffold
from launcher.authoring.starter import StartingPoint, starter
from launcher.cli.options import Json
from launcher.cli.output import print_json, say_next
from launcher.errors import InfrastructureError, MalformedError, RequirementError
from launcher.report.text import one_line
from launcher.sources.layout import only_digest, open_layout
from launcher.spec.grammars import BLUEPRINT_NAME, DIGEST
from launcher.spec.pins import open_pins

# Which target of evalctl's Makefile builds an image that `make setup` leaves out.
_MAKES = {"eval-harness": "harness"}

NewFolder = Annotated[Path, typer.Argument(metavar="[DIR]", help="The new evaluation's folder.")]
EvaluationName = Annotated[
    str | None,
    typer.Option(metavar="ORG/NAME", help="The evaluation's name; default: me/ and the folder's."),
]
ImageLayout = Annotated[
    str | None,
    typer.Option(
        metavar="oci:PATH",
        help="The image layout it runs in; default: the one that `make setup` built in evalctl's clone.",
    ),
]
CopiedFrom = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="ID", help="Begin from a copy: one of evalctl's blueprints, a file or a folder."
    ),
]
FromLmEval = Annotated[
    str | None,
    typer.Option(metavar="COMMAND", help="Begin from this command line of lm-eval, in quotes."),
]
FromInspect = Annotated[
    Path | None, typer.Option(metavar="LOG", help="Begin from the task, model and settings of this log.")
]


def init(
    folder: NewFolder = Path(),
    name: EvaluationName = None,
    image: ImageLayout = None,
    source: CopiedFrom = None,
    from_lm_eval: FromLmEval = None,
    from_inspect: FromInspect = None,
    as_json: Json = False,
) -> int:
    """Begin an evaluation: a folder that runs as it is.

    Writes a blueprint whose comments explain it, a program with its test, data and held-out labels. Nothing
    is overwritten. Outside of a git repository one is made and the files are committed; in one of yours the
    commit is left to you. Begun from lm-eval or Inspect, the folder calls that instead, and its README lists
    what is left to do.
    """
    chosen = [value for value in (source, from_lm_eval, from_inspect) if value is not None]
    if len(chosen) > 1:
        raise MalformedError(
            "`--from`, `--from-lm-eval` and `--from-inspect` exclude each other",
            code="usage",
            hint="give one of them",
        )
    if source is not None:
        begun = _copy(source, folder, name, image)
    else:
        begun = _begin(_beginning(from_lm_eval, from_inspect), folder, name, image, in_harness=bool(chosen))
    if as_json:
        files = sorted((*begun.scaffold.files, *begun.scaffold.links))
        commit = begun.commit or None
        print_json({"folder": str(folder), "name": begun.name, "files": files, "commit": commit})
    else:
        print(_shown(begun.scaffold, folder, begun.commit))
        say_next(begun.next_step)
    return 0


class _Begun(Struct, frozen=True):
    """What was written: the files, the evaluation's name, the commit if one was made, and what to type."""

    scaffold: Scaffold
    name: str
    commit: str
    next_step: str


def _begin(
    begin: Callable[[StartingPoint], Scaffold],
    folder: Path,
    name: str | None,
    image: str | None,
    *,
    in_harness: bool,
) -> _Begun:
    """Begin anew; outside of a repository of the user's, one is made."""
    layout, digest = _layout(image, "eval-harness" if in_harness else "eval-python")
    place = find_repository(folder)
    start = StartingPoint(_name(name, folder), layout, digest)
    if place is not None:
        start = replace(start, repository=place.up, path=place.down)
    scaffold, commit = begin(start), ""

    def finish(staged: Path) -> None:
        nonlocal commit
        commit = "" if place else begin_repository(staged)

    write_scaffold(scaffold, folder, finish)
    read_on = f"cat {quote(str(folder / 'README.md'))}"
    step = read_on if in_harness else _steps(folder, committed=place is None)
    return _Begun(scaffold, start.name, commit, step)


def _copy(source: str, folder: Path, name: str | None, image: str | None) -> _Begun:
    """Begin from a blueprint that exists; its code is where it was, so no repository is made."""
    layout = _layout(image)[0] if image else None
    copied = copy_blueprint(find_blueprint(source), _name(name, folder) if name else None, layout)
    write_scaffold(copied.scaffold, folder)
    values = tomllib.loads(copied.scaffold.files["blueprint.toml"].decode())
    command = "pin" if any(open_pins(values)) else "launch"
    return _Begun(copied.scaffold, copied.name, "", _steps(folder, command, committed=True))


def _beginning(from_lm_eval: str | None, from_inspect: Path | None) -> Callable[[StartingPoint], Scaffold]:
    """Read what to begin from, before anything else is asked for; return what makes the files."""
    if from_lm_eval is not None:
        from launcher.exchange.from_lm_eval import begin_from_lm_eval, include_path, read_task_files

        folder = include_path(from_lm_eval)
        tasks = read_task_files(Path(folder)) if folder else {}
        return lambda start: begin_from_lm_eval(from_lm_eval, start, tasks)
    if from_inspect is not None:
        from launcher.exchange.from_inspect import begin_from_inspect, read_start, read_task_file

        log = read_start(from_inspect)
        task_file = read_task_file(log, Path())
        return lambda start: begin_from_inspect(log, start, task_file)
    return starter


def _name(name: str | None, folder: Path) -> str:
    """Return the evaluation's name: as given, or made from the folder's."""
    chosen = name or f"me/{re.sub('[^A-Za-z0-9._-]+', '-', folder.resolve().name).strip('-._')}"
    if re.fullmatch(BLUEPRINT_NAME, chosen) is None:
        raise MalformedError(
            f"`{chosen}` is no name of an evaluation",
            code="bad-name",
            context="expected ORG/NAME, each of letters, digits, `.`, `_` and `-`",
            hint="give one with `--name org/name`",
        )
    return chosen


def _layout(image: str | None, usual: str = "eval-python") -> tuple[Path, str | None]:
    """Return the image layout to link, and its digest where `image` names one or needs none."""
    if image is None:
        return _proven(CHECKOUT / "images" / usual / "layout", None, RequirementError)
    path, _, digest = image.removeprefix("oci:").rpartition("@")
    if re.fullmatch(DIGEST, digest) is None:
        path, digest = image.removeprefix("oci:"), ""
    return _proven(Path(path).absolute(), digest or None, MalformedError)


def _proven(
    place: Path, digest: str | None, fault: type[MalformedError | RequirementError]
) -> tuple[Path, str | None]:
    """Return `place` and `digest` after a look that an image layout is there, and that its image is clear."""
    try:
        layout = open_layout(place)
        if digest is None:
            only_digest(layout)
    except InfrastructureError as error:
        target = _MAKES.get(place.parent.name, "setup")
        raise fault(
            "there is no container image to begin with",
            code="no-image",
            context=error.message,
            hint=f"`make {target}` in evalctl's clone builds one; or name an OCI image layout, "
            "a folder or a tar, with `--image oci:PATH`",
        ) from error
    return place, digest


def _steps(folder: Path, command: str = "pin", *, committed: bool) -> str:
    """Return what to type next; a repository of the user's gets the commit from the user's hand."""
    enter = [] if folder.resolve() == Path.cwd() else [f"cd {quote(str(folder))}"]
    commit = [] if committed else ["git add .", "git commit -m 'Begin an evaluation' ."]
    return " && ".join([*enter, *commit, f"evalctl {command} blueprint.toml"])


def _shown(scaffold: Scaffold, folder: Path, commit: str) -> str:
    remarks = {one_line(path): one_line(remark) for path, remark in scaffold.remarks.items()}
    width = max(map(len, remarks))
    lines = [f"{one_line(str(folder))}/", *(f"  {path:<{width}}  {said}" for path, said in remarks.items())]
    return "\n".join([*lines, f"committed as {commit}"] if commit else lines)
