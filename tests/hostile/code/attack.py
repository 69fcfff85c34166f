"""Run one group of attempts, or one attack that ends in a way of its own."""

import importlib
import sys

from attempt import make_all
from endings import ENDINGS

KINDS = ("forgeries", "neighbours", "outputs", "processes", "resources", "samples", "state")


def main(name: str) -> None:
    """Make the attempts of the module `name`, or the ending of that name."""
    for kind in KINDS:
        importlib.import_module(f"ending_{kind}")
    if name in ENDINGS:
        ENDINGS[name]()
    else:
        importlib.import_module(name)
        make_all(name)


main(sys.argv[1])
