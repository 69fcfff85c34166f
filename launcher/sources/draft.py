"""Drafts: the working tree as it stands, and the changes that set it apart from the commit.

The working tree is read into a repository of our own; nothing is written to the user's.
"""

from pathlib import Path

from launcher.digest import sha256_hex
from launcher.errors import InfrastructureError, MalformedError
from launcher.sources.code import CodeTree, bring_objects, cached_tree, keep_tree, own_repository
from launcher.sources.git import users_patterns
from launcher.sources.inputs import FetchSettings, local_path
from launcher.spec.blueprint import Code
from launcher.spec.grammars import is_web
from launcher.store.cache import Cache

MAX_PATCH_BYTES = 32 << 20
_DIFF = ("diff", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")


def draft_code(code: Code, cache: Cache, settings: FetchSettings) -> tuple[CodeTree, bytes]:
    """Return the files of the working tree at `code.git`, and the patch that makes them of the commit's.

    What the user's git ignores is left out, as it would be from a commit. Raises `MalformedError` where there
    is no working tree, nothing was changed, or too much.
    """
    work_tree = _work_tree(code, settings)
    settings.say(f"reading the working tree `{work_tree}`")
    with own_repository(cache) as git:
        bring_objects(code, settings, git)
        git.run("read-tree", code.commit)
        git.exclude(users_patterns(work_tree))
        git.run("add", "--all", "--", ".", work_tree=work_tree)
        tree = git.run("write-tree").decode().strip()
        patch = git.run(*_DIFF, code.commit, tree, limit=MAX_PATCH_BYTES + 1)
        _refuse_patch(patch, work_tree)
        return keep_tree(git, tree, _place(cache, code, sha256_hex(patch)), code), patch


def patched_code(
    code: Code, changes: tuple[str, bytes | None], cache: Cache, settings: FetchSettings
) -> tuple[CodeTree, bytes]:
    """Return the files of the commit with a draft's `changes` (hex SHA-256, bytes if known), and the bytes.

    Raises `InfrastructureError` where the patch is not given, or does not fit the commit.
    """
    sha256, patch = changes
    if patch is None or sha256_hex(patch) != sha256:
        raise InfrastructureError(
            "the lock is a draft's, and the changes it ran with are not at hand",
            code="patch-not-found",
            context=f"expected a patch of sha256 {sha256}",
            hint="reproduce its bundle, which holds them, or commit them and launch the blueprint",
        )
    place = _place(cache, code, sha256)
    if tree := cached_tree(place, code):
        return tree, patch
    settings.say(f"applying a draft's changes to commit {code.commit[:12]}")
    with own_repository(cache) as git:
        bring_objects(code, settings, git)
        git.run("read-tree", code.commit)
        git.run("apply", "--cached", "--whitespace=nowarn", "-", feed=patch)
        tree_id = git.run("write-tree").decode().strip()
        return keep_tree(git, tree_id, place, code), patch


def _place(cache: Cache, code: Code, patch: str) -> Path:
    return cache.root / "code" / f"{code.commit}+{patch}"


def _work_tree(code: Code, settings: FetchSettings) -> Path:
    """Return the folder whose repository `code.git` is."""
    path = local_path(code.git, settings.base).absolute()
    remote = is_web(code.git)
    if remote or not (path / ".git").exists():
        raise MalformedError(
            "`--draft` needs a working tree, and `code.git` is none",
            code="no-working-tree",
            context=f"expected a folder with a `.git` in it, got `{code.git}`",
            hint="let `code.git` be the path of your clone, or commit and launch without --draft",
        )
    return path


def _refuse_patch(patch: bytes, work_tree: Path) -> None:
    if not patch:
        raise MalformedError(
            f"the working tree `{work_tree}` is the commit's: there is nothing to draft",
            code="nothing-to-draft",
            hint="launch without --draft",
        )
    if len(patch) > MAX_PATCH_BYTES:
        raise MalformedError(
            "the working tree differs too much from the commit for a draft",
            code="patch-too-large",
            context=f"expected a patch of at most {MAX_PATCH_BYTES >> 20} MiB",
            hint="commit your changes, or let git ignore what is not code",
        )
