"""Find the commit that a branch, a tag or `HEAD` names now."""

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from launcher.authoring.repository import no_filters, run_git, top_of
from launcher.errors import CheckFailedError, InfrastructureError, MalformedError
from launcher.sources.code import bundled_references
from launcher.sources.git import Git
from launcher.sources.inputs import FetchSettings, local_path, redacted
from launcher.spec.grammars import COMMIT, is_web

_MOST_NAMED, _MOST_BRANCHES = 5, 20


class Found(Struct, frozen=True):
    """A commit's id, and the repository's folder where it is one of this machine."""

    commit: str
    folder: Path | None


class Wanted(Struct, frozen=True):
    """What to look for: `reference` in `git`; of the tree `path` matters, and `blueprint` may differ."""

    git: str
    reference: str
    path: str
    blueprint: Path


def find_commit(wanted: Wanted, settings: FetchSettings) -> Found:
    """Return the commit that `wanted.reference` names.

    Raises `CheckFailedError` (`uncommitted-changes`) where a working tree holds something else than its
    commit, `MalformedError` (`no-such-reference`), and `InfrastructureError`.
    """
    if is_web(wanted.git):
        if settings.offline:
            raise InfrastructureError(
                f"`--offline` forbids to ask {redacted(wanted.git)} for `{wanted.reference}`",
                code="code-not-cached",
                hint="pin without --offline, or write the full commit",
            )
        return Found(_ask(wanted), None)
    path = local_path(wanted.git, settings.base).absolute()
    if not path.is_dir():
        if not path.is_file():
            raise InfrastructureError(
                f"`{wanted.git}` is no repository",
                code="code-not-found",
                context=f"there is no folder or regular file `{path}`",
                hint="correct `code.git`: a path to a clone or to a `git bundle` file, or an address",
            )
        return Found(_look(wanted, path), None)
    spelled = f"{wanted.reference}^{{commit}}"
    done = run_git(path, "rev-parse", "--verify", "--quiet", "--end-of-options", spelled)
    commit = done.stdout.strip()
    if done.returncode or not re.fullmatch(COMMIT, commit):
        raise _unknown(wanted, done.stderr.strip())
    _refuse_changes(path, wanted)
    return Found(commit, path)


def _ask(wanted: Wanted) -> str:
    """Ask a remote repository, in git's own order: tags before branches."""
    with tempfile.TemporaryDirectory() as folder:
        listing = Git(Path(folder)).run("ls-remote", "--", wanted.git).decode(errors="replace")
    rows = (line.partition("\t") for line in listing.splitlines())
    named = {name: commit for commit, _, name in rows}
    name = wanted.reference
    for spelled in (f"refs/tags/{name}^{{}}", f"refs/tags/{name}", f"refs/heads/{name}", name):
        if re.fullmatch(COMMIT, named.get(spelled, "")):
            return named[spelled]
    raise _unknown(wanted, _branches(named, "refs/heads/"))


def _look(wanted: Wanted, bundle: Path) -> str:
    """Look into a `git bundle` file: what it lists does not say what an annotated tag is about."""
    with tempfile.TemporaryDirectory() as folder:
        git = Git(Path(folder))
        git.run("fetch", "--quiet", "--no-tags", "--", str(bundle), *bundled_references(git, str(bundle)))
        listing = git.run("for-each-ref", "--format=%(refname)%00%(objectname)%00%(*objectname)").decode()
    named = {name: peeled or commit for name, commit, peeled in (row.split("\0") for row in listing.split())}
    name = wanted.reference
    for spelled in (f"refs/bundle/tags/{name}", f"refs/bundle/heads/{name}", f"refs/bundle/{name}"):
        if spelled in named:
            return named[spelled]
    raise _unknown(wanted, _branches(named, "refs/bundle/heads/"))


def _branches(named: Iterable[str], prefix: str) -> str:
    names = sorted(name.removeprefix(prefix) for name in named if name.startswith(prefix))
    return f"its branches: {', '.join(names[:_MOST_BRANCHES]) or 'none'}"


def _unknown(wanted: Wanted, context: str) -> MalformedError:
    empty = wanted.reference == "HEAD" and not context
    return MalformedError(
        f"`{redacted(wanted.git)}` has no commit `{wanted.reference}`",
        code="no-such-reference",
        context="nothing is committed yet" if empty else context or None,
        hint="commit the code first: `git add . && git commit`"
        if empty
        else "write a branch, a tag or a full commit as `code.commit`",
    )


def _refuse_changes(folder: Path, wanted: Wanted) -> None:
    """Refuse a working tree whose changes no commit holds: what runs would not be what is seen."""
    root = top_of(folder)
    if root is None:
        return
    options = ("--porcelain=v1", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=all")
    listing = run_git(root, "status", *options, "--", wanted.path or ".", settings=no_filters(root)).stdout
    changed = [entry[3:] for entry in listing.split("\0") if entry]
    changed = [name for name in changed if (root / name).resolve() != wanted.blueprint.resolve()]
    if not changed:
        return
    more = f" and {len(changed) - _MOST_NAMED} more" if len(changed) > _MOST_NAMED else ""
    raise CheckFailedError(
        "the code has changes that no commit holds",
        code="uncommitted-changes",
        context=f"{', '.join(f'`{name}`' for name in changed[:_MOST_NAMED])}{more} in {root}",
        hint="commit them (`git commit -a`), or write the full commit you mean as `code.commit`",
    )


def moved_on(wanted: Wanted, settings: FetchSettings) -> list[str]:
    """Return the files in which what is checked out differs from the commit `wanted.reference`, if any.

    Changes that no commit holds count, files that git does not follow do not.
    """
    folder = local_path(wanted.git, settings.base).absolute()
    if is_web(wanted.git) or not folder.is_dir():
        return []
    root = top_of(folder)
    if root is None:
        return []
    options = ("--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-textconv")
    listing = run_git(root, "diff", *options, wanted.reference, "--", wanted.path or ".").stdout
    names = [name for name in listing.split("\0") if name]
    return [name for name in names if (root / name).resolve() != wanted.blueprint.resolve()]


def is_committed(folder: Path, commit: str, file: Path) -> bool:
    """Say whether the commit of the repository around `folder` holds `file`."""
    root = top_of(folder)
    if root is None or not file.resolve().is_relative_to(root):
        return False
    name = file.resolve().relative_to(root).as_posix()
    return run_git(root, "cat-file", "-e", f"{commit}:{name}").returncode == 0
