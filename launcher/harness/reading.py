"""Read what a container left in the form that its blueprint declares."""

from pathlib import Path

from launcher.harness.output import HarnessOutput
from launcher.spec.imported import Harness


def read_harness(harness: Harness, folder: Path) -> HarnessOutput:
    """Return what `harness` left below `folder`.

    Raises `MalformedError`, whose codes are `bad-harness-log` and, where the harness itself says that its run
    did not succeed, `harness-failed`.
    """
    if harness == "inspect":
        from launcher.harness.inspect_log import read_inspect

        return read_inspect(folder)
    from launcher.harness.lm_eval import read_lm_eval

    return read_lm_eval(folder)
