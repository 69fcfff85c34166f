"""Show the progress of set-up, run its commands, and say what to type when it cannot go on."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_REMIND_SECONDS = 10.0
_TAIL_LINES = 20


class SetupError(Exception):
    """Set-up cannot go on; `advice` is what a person should type, line by line."""

    def __init__(self, message: str, *, advice: Sequence[str] = (), log: str = "") -> None:
        super().__init__(message)
        self.advice = tuple(advice)
        self.log = log

    def __str__(self) -> str:
        lines = [f"error: {self.args[0]}"]
        if self.log:
            lines += [f"    {line}" for line in self.log.splitlines()[-_TAIL_LINES:]]
        if self.advice:
            lines += ["Type:", *(f"    {line}" for line in self.advice)]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Console:
    """Print one line per step with the seconds since the start, on standard error."""

    started: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Print one line."""
        print(f"[{time.monotonic() - self.started:6.1f} s] {text}", file=sys.stderr, flush=True)

    def run(
        self,
        command: Sequence[str | Path],
        doing: str,
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        advice: Sequence[str] = (),
    ) -> None:
        """Run `command` quietly, with a reminder every ten seconds of what it is doing.

        Raises `SetupError` with the end of its output, and with `advice`, when it fails.
        """
        self.say(doing)
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            process = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if environment is None else dict(environment),
                cwd=folder,
            )
            status = self._wait(process, doing)
            if status:
                output.seek(0)
                shown = " ".join(map(str, command))
                raise SetupError(f"`{shown}` ended with status {status}", advice=advice, log=output.read())

    def _wait(self, process: "subprocess.Popen[bytes]", doing: str) -> int:
        while True:
            try:
                return process.wait(_REMIND_SECONDS)
            except subprocess.TimeoutExpired:
                self.say(f"... {doing}")
            except BaseException:
                process.terminate()
                raise


def environment_without(*names: str) -> dict[str, str]:
    """Return this process's environment without `names`."""
    return {name: value for name, value in os.environ.items() if name not in names}
