"""Bring a checkout to where evalctl runs: virtual environment, container engine, image layouts.

Usage: python -m scripts.setup [environment] [engine] [layouts] [harness] [tools] [engines] [browser]
                              [verifiers]

Without arguments the first three, in this order; `harness` is the image of 1.4 GB that lm-eval and Inspect
run in; `tools`, `engines`, `browser` and `verifiers` are what some tests need. Each step does nothing where
its work is done already.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.console import Console, SetupError
from scripts.debian import ensure_test_engines, ensure_test_tools
from scripts.engine import ensure_engine
from scripts.layouts import ensure_large_layouts, ensure_layouts
from scripts.npm_packages import ensure_verifiers
from scripts.virtual_environment import ensure_browser_driver, ensure_environment

ROOT = Path(__file__).resolve().parent.parent
STEPS: Mapping[str, Callable[[Path, Console], None]] = {
    "environment": ensure_environment,
    "engine": ensure_engine,
    "layouts": ensure_layouts,
    "harness": ensure_large_layouts,
    "tools": ensure_test_tools,
    "engines": ensure_test_engines,
    "browser": ensure_browser_driver,
    "verifiers": ensure_verifiers,
}
DEFAULT = ("environment", "engine", "layouts")


def main(arguments: list[str]) -> int:
    """Take the steps named, or the default ones; return the exit status."""
    unknown = set(arguments) - set(STEPS)
    if unknown:
        print(
            f"error: no such step: {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}",
            file=sys.stderr,
        )
        return 2
    console = Console()
    try:
        for name, step in STEPS.items():
            if name in (arguments or DEFAULT):
                step(ROOT, console)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the next `make setup` goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
