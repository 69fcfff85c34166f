"""One of the two builds of `evalctl image check`: a process of its own, in surroundings of its own.

Usage: python -m launcher.cli.rebuild RECIPE LAYOUT PACKAGES [network]
"""

import sys
from functools import partial
from pathlib import Path

from launcher.cli.connect import connect
from launcher.cli.output import print_json, say
from launcher.errors import EvalctlError
from launcher.image.build import build_image
from launcher.image.workshop import Workshop, session_in
from launcher.store.home import find_home


def rebuild(recipe: str, layout: str, packages: str, *network: str) -> int:
    """Build without any cache of layouts; print the digest, or the error, as one JSON object."""
    session = partial(session_in, find_home())
    workshop = Workshop(Path(packages), say, connect=connect, network=bool(network), session=session)
    try:
        built = build_image(Path(recipe), Path(layout), workshop)
    except EvalctlError as error:
        print_json({"error": dict(error.as_json()), "exit": error.exit_status})
        return error.exit_status
    print_json({"digest": built.digest})
    return 0


if __name__ == "__main__":
    raise SystemExit(rebuild(*sys.argv[1:5]))
