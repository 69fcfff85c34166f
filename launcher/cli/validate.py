"""`evalctl validate`."""

from shlex import quote

from launcher.cli.options import Json, TargetFile
from launcher.cli.output import print_json, say_next
from launcher.cli.targets import read_target


def validate(
    file: TargetFile,
    as_json: Json = False,
) -> int:
    """Check a blueprint; show every problem at once.

    Each problem has its place, FILE:LINE:COLUMN. Nothing is fetched and nothing is run.
    """
    about = read_target(file).blueprint.about
    if as_json:
        print_json({"file": str(file), "valid": True, "name": about.name, "version": about.version})
    else:
        print(f"{file}: valid ({about.name} {about.version})")
        say_next(f"evalctl launch {quote(str(file))}")
    return 0
