"""Run git as if this machine had no configuration: no hooks, no prompts, no transports but files and http."""

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from launcher.errors import InfrastructureError

if TYPE_CHECKING:
    import subprocess

_SECONDS = 600
_CHUNK = 1 << 20

# A file, because git withholds settings in variables from the process that serves a local repository; that
# one would refuse a repository of somebody else's, though it only looks objects up by their ids.
_CONFIGURATION = """\
[safe]
    directory = *
[uploadpack]
    allowAnySHA1InWant = true
[fetch]
    fsckObjects = true
[core]
    hooksPath = /dev/null
[gc]
    auto = 0
"""


class Git(Struct, frozen=True, dict=True):
    """A bare repository of one's own, made inside `folder` when it is first used."""

    folder: Path

    def run(
        self, *arguments: str, feed: bytes = b"", limit: int | None = None, work_tree: Path | None = None
    ) -> bytes:
        """Run one git command, in `work_tree` if it needs one, and return its output, cut at `limit` bytes.

        Raises `InfrastructureError` (`git-failed`, `git-missing`).
        """
        place = [] if work_tree is None else ["-C", str(work_tree), f"--work-tree={work_tree}"]
        return self._call(arguments, [f"--git-dir={self._repository}", *place], feed, limit)

    def exclude(self, patterns: bytes) -> None:
        """Ignore the files of a work tree that match `patterns`, beside what its `.gitignore` says."""
        place = self._repository / "info"
        place.mkdir(exist_ok=True)
        (place / "exclude").write_bytes(patterns)

    @cached_property
    def _repository(self) -> Path:
        (self.folder / "gitconfig").write_text(_CONFIGURATION)
        repository = self.folder / "git"
        self._call(("init", "--quiet", "--bare", "--template=", str(repository)))
        return repository

    def _call(
        self,
        arguments: tuple[str, ...],
        options: list[str] | None = None,
        feed: bytes = b"",
        limit: int | None = None,
    ) -> bytes:
        import subprocess
        import tempfile

        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
            given.write(feed)
            given.seek(0)
            try:
                process = subprocess.Popen(
                    ["git", *(options or ()), *arguments],
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    env=self._environment(),
                )
            except FileNotFoundError as error:
                raise InfrastructureError(
                    "`git` is not installed", code="git-missing", hint="install git (`apt-get install git`)"
                ) from error
            with process:
                output, cut = _read(process, limit)
            said.seek(0)
            complaint = said.read(_CHUNK).decode(errors="replace").strip()[-500:]
        if process.returncode and not cut:
            raise _failed(arguments[0], complaint or f"it ended with {process.returncode}, without a word")
        return output

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        return kept | {
            "GIT_CONFIG_GLOBAL": str(self.folder / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": "file:http:https",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }


def users_patterns(work_tree: Path) -> bytes:
    """Return what the user's own git ignores in `work_tree`, beside what the tree itself says."""
    import subprocess

    def ask(*arguments: str) -> str:
        command = ["git", "-C", str(work_tree), *arguments]
        # Where another repository stands is none of our business.
        kept = {key: value for key, value in os.environ.items() if key not in ("GIT_DIR", "GIT_WORK_TREE")}
        done = subprocess.run(
            command, env=kept, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_SECONDS
        )
        return os.fsdecode(done.stdout.removesuffix(b"\n"))

    named = ask("config", "--type=path", "--get", "core.excludesFile")
    own = ask("rev-parse", "--git-path", "info/exclude")
    # Where none is named, git looks at its usual place by itself.
    places = [*([Path(named)] if named else []), work_tree / own]
    # The last that matches decides, and a clone's own patterns outrank its user's.
    return b"".join(place.read_bytes() + b"\n" for place in places if place.is_file())


def _read(process: "subprocess.Popen[bytes]", limit: int | None) -> tuple[bytes, bool]:
    """Return the output and whether it was cut at `limit`; a process that outlives its time is killed."""
    import threading

    timer = threading.Timer(_SECONDS, process.kill)
    timer.start()
    chunks, size, stream = [], 0, process.stdout
    try:
        while stream and (chunk := stream.read1(_CHUNK)):  # type: ignore[attr-defined]
            chunks.append(chunk)
            size += len(chunk)
            if limit is not None and size >= limit:
                process.kill()
                return b"".join(chunks)[:limit], True
        process.wait()
        return b"".join(chunks), False
    finally:
        timer.cancel()


def _failed(command: str, context: str) -> InfrastructureError:
    return InfrastructureError(
        f"`git {command}` failed",
        code="git-failed",
        context=context,
        hint="check that `code.git` is a repository or a `git bundle` file that you can read",
    )
