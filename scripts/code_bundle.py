"""Pin a blueprint's sources as one commit in a `git bundle` file.

Usage: python -m scripts.code_bundle blueprints/NAME

The commit's id is a function of the files under `blueprints/NAME/src` and of NAME alone: author, dates,
message and modes are fixed and no configuration of this machine is read. The bytes of `code.bundle` also
depend on git's version and on zlib; nothing pins them, because a bundle is judged by the commit it holds.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

_IDENTITY = "evalctl blueprints"
_EMAIL = "blueprints@evalctl.invalid"
_DATE = "2026-01-01T00:00:00+00:00"
_BRANCH = "refs/heads/main"


def write_bundle(blueprint: Path) -> str:
    """Write `code.bundle` beside `src/` unless it already holds the commit; return the commit's id."""
    bundle = (blueprint / "code.bundle").absolute()
    with tempfile.TemporaryDirectory(prefix="code-bundle-") as folder:
        repository = Path(folder)
        commit = commit_sources(blueprint / "src", repository)
        if bundle.is_file() and bundled_commit(bundle) == commit:
            return commit
        fresh = repository / "fresh.bundle"
        _git(repository, "bundle", "create", "--quiet", "--version=2", str(fresh), "HEAD", _BRANCH)
        bundle.write_bytes(fresh.read_bytes())
    return commit


def commit_sources(sources: Path, repository: Path) -> str:
    """Commit the files under `sources` into a new bare repository at `repository`; return the commit's id."""
    _git(repository, "init", "--quiet", "--bare", "--template=", "--object-format=sha1")
    for path in sorted(sources.rglob("*"), key=lambda path: path.as_posix().encode()):
        if path.is_file() and "__pycache__" not in path.parts:
            blob = _git(repository, "hash-object", "-w", "--no-filters", str(path.absolute()))
            name = path.relative_to(sources).as_posix()
            _git(repository, "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    tree = _git(repository, "write-tree")
    commit = _git(repository, "commit-tree", tree, "-m", f"Pin the sources of {sources.parent.name}")
    _git(repository, "update-ref", _BRANCH, commit)
    _git(repository, "symbolic-ref", "HEAD", _BRANCH)
    return commit


def bundled_commit(bundle: Path) -> str:
    """Return the id of the one commit that `bundle` names."""
    heads = _git(bundle.parent, "bundle", "list-heads", str(bundle)).splitlines()
    commits = {head.split()[0] for head in heads}
    if len(commits) != 1:
        raise ValueError(f"`{bundle}` names {len(commits)} commits, expected one")
    return commits.pop()


def _git(repository: Path, *arguments: str) -> str:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_DIR": str(repository),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": _IDENTITY,
        "GIT_AUTHOR_EMAIL": _EMAIL,
        "GIT_AUTHOR_DATE": _DATE,
        "GIT_COMMITTER_NAME": _IDENTITY,
        "GIT_COMMITTER_EMAIL": _EMAIL,
        "GIT_COMMITTER_DATE": _DATE,
    }
    result = subprocess.run(
        ["git", *arguments], env=environment, cwd=repository, check=True, stdout=subprocess.PIPE, text=True
    )
    return result.stdout.strip()


def main(arguments: list[str]) -> int:
    """Write the bundle of each blueprint folder named; print the commit to put under `[code]`."""
    if not arguments:
        print("usage: python -m scripts.code_bundle blueprints/NAME...", file=sys.stderr)
        return 2
    for argument in arguments:
        print(f'{argument}: commit = "{write_bundle(Path(argument))}"')
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
