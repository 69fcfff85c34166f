"""The git repository around a new evaluation: find it, or make one; nothing of the user's is changed."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from launcher.errors import InfrastructureError

CHECKOUT = Path(__file__).resolve().parent.parent.parent
_SECONDS = 60
# What may say who the user is and how git is set up; where another repository stands is none of our business.
_KEPT = re.compile("GIT_(AUTHOR|COMMITTER|CONFIG|SSL|TEMPLATE)")
_NOBODY = ("evalctl init", "init@localhost")


class Place(Struct, frozen=True):
    """Where a folder is in the repository around it: the way up to its top, and the way back."""

    top: Path
    up: str
    down: str


def find_repository(folder: Path) -> Place | None:
    """Return where `folder`, which need not exist, is in a repository that could hold it, else None.

    A repository that ignores the folder could not, and that of evalctl itself is for evalctl.
    Raises `InfrastructureError` (`git-missing`, `git-failed`).
    """
    target = folder.resolve()
    standing = next(path for path in (target, *target.parents) if path.is_dir())
    found = run_git(standing, "rev-parse", "--show-toplevel")
    if found.returncode:
        if "not a git repository" in found.stderr:
            return None
        raise git_failed(found)
    top = Path(found.stdout.removesuffix("\n")).resolve()
    ignored = target != top and run_git(top, "check-ignore", "--quiet", "--", str(target)).returncode == 0
    if ignored or top == CHECKOUT:
        return None
    return Place(top, os.path.relpath(top, target), "" if target == top else str(target.relative_to(top)))


def top_of(folder: Path) -> Path | None:
    """Return the top of the working tree around `folder`, None where git tells of none."""
    found = run_git(folder, "rev-parse", "--show-toplevel")
    return None if found.returncode else Path(found.stdout.removesuffix("\n")).resolve()


def begin_repository(folder: Path) -> str:
    """Make a repository in `folder`, commit what git does not ignore, and return the commit's id.

    The user's own name signs the commit; where git knows none, a neutral one does, for this commit alone.
    """
    for arguments in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all"),
        (
            *_author(folder),
            "commit",
            "--quiet",
            "--no-verify",
            "--message=Begin from evalctl's starting point",
        ),
    ):
        done = run_git(folder, *arguments)
        if done.returncode:
            raise git_failed(done)
    return run_git(folder, "rev-parse", "HEAD").stdout.strip()


def _author(folder: Path) -> tuple[str, ...]:
    """Return the options of one commit: no signature that would ask, a name where there is none."""
    quiet = ("-c", "commit.gpgSign=false")
    known = (
        run_git(folder, "config", "user.name").stdout.strip(),
        run_git(folder, "config", "user.email").stdout.strip(),
    )
    if all(known):
        return quiet
    name, address = _NOBODY
    return (*quiet, "-c", f"user.name={known[0] or name}", "-c", f"user.email={known[1] or address}")


def run_git(
    folder: Path, *arguments: str, settings: Mapping[str, str] = {}
) -> "subprocess.CompletedProcess[str]":
    """Run git in `folder` as the user would, without questions; the caller looks at the exit code.

    `settings` outrank all configuration. What a partial clone lacks is not fetched: how is for the
    repository to say, which may be a stranger's.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or _KEPT.match(key)}
    try:
        return subprocess.run(
            ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments],
            env=kept
            | _as_variables(settings, kept)
            | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise InfrastructureError(
            "`git` is not installed", code="git-missing", hint="install git (`apt-get install git`)"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(
            f"`git {arguments[0]}` did not end in {_SECONDS} seconds",
            code="git-failed",
            hint=f"try it in `{folder}`",
        ) from error


def no_filters(folder: Path) -> dict[str, str]:
    """Return the settings under which git runs no filter that the repository's own configuration brings.

    A repository may be a stranger's, and looking for changes would run them. The user's own, such as those
    of Git LFS, stay.
    """
    listing = run_git(
        folder, "config", "--show-scope", "--includes", "-z", "--name-only", "--get-regexp", r"^filter\."
    )
    words = listing.stdout.split("\0")
    drivers = {
        key.rpartition(".")[0]
        for scope, key in zip(words[::2], words[1::2], strict=False)
        if scope in ("local", "worktree")
    }
    neutral = {"clean": "", "smudge": "", "process": "", "required": "false"}
    return {f"{driver}.{name}": value for driver in drivers for name, value in neutral.items()}


def _as_variables(settings: Mapping[str, str], kept: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that give git `settings`, behind those that the user gives in the same way."""
    if not settings:
        return {}
    count = kept.get("GIT_CONFIG_COUNT", "0")
    first = int(count) if count.isdecimal() else 0
    variables = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (key, value) in enumerate(settings.items(), start=first):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def git_failed(done: "subprocess.CompletedProcess[str]") -> InfrastructureError:
    """Return the error for a git command that ended badly."""
    return InfrastructureError(
        f"`git {' '.join(done.args[5:6])}` failed",
        code="git-failed",
        context=done.stderr.strip()[-500:] or f"it ended with {done.returncode}",
        hint=f"try it in `{done.args[2]}`",
    )
