"""Code by commit, out of repositories that may be anything."""

import os
import subprocess
from pathlib import Path

import pytest

from launcher.errors import EvalctlError, InfrastructureError, MalformedError
from launcher.sources.code import CodeTree, fetch_code
from launcher.sources.inputs import FetchSettings
from launcher.spec.blueprint import Code
from launcher.store.cache import Cache

FIXED = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00+00:00",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00+00:00",
    "LC_ALL": "C",
}


def git(folder: Path, *arguments: str, feed: bytes = b"") -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **FIXED},
        input=feed,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with one commit on `main`."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "run.sh").write_text("#!/bin/sh\necho one\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "evals").mkdir()
    (folder / "evals" / "main.py").write_text("print(1)\n")
    (folder / "uv.lock").write_text("one\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "one")
    return folder


def head(repository: Path) -> str:
    return git(repository, "rev-parse", "HEAD")


def commit(repository: Path, message: str = "more") -> str:
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", message)
    return head(repository)


def commit_objects(repository: Path, *entries: tuple[str, str, str]) -> str:
    """Commit a tree of `(mode, id, name)` that no git command would make; return the commit's id."""
    raw = b"".join(f"{mode} {name}".encode() + b"\0" + bytes.fromhex(oid) for mode, oid, name in entries)
    tree = git(repository, "hash-object", "-t", "tree", "--literally", "-w", "--stdin", feed=raw)
    made = git(repository, "commit-tree", tree, "-m", "odd")
    git(repository, "update-ref", "refs/heads/odd", made)
    return made


def blob(repository: Path, data: bytes = b"evil\n") -> str:
    return git(repository, "hash-object", "-w", "--stdin", feed=data)


def tree(repository: Path, *entries: tuple[str, str, str]) -> str:
    raw = b"".join(f"{mode} {name}".encode() + b"\0" + bytes.fromhex(oid) for mode, oid, name in entries)
    return git(repository, "hash-object", "-t", "tree", "--literally", "-w", "--stdin", feed=raw)


def bundle(repository: Path, *references: str) -> Path:
    path = repository.parent / "code.bundle"
    git(repository, "bundle", "create", "-q", str(path), *references)
    return path


def fetch(source: Path | str, commit: str, cache: Path, **changes: object) -> CodeTree:
    settings = FetchSettings(cache.parent)
    return fetch_code(Code(str(source), commit, **changes), Cache(cache), settings)  # type: ignore[arg-type]


def files_of(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_a_commit_is_its_files_and_modes_without_git(repository: Path, tmp_path: Path) -> None:
    found = fetch(repository, head(repository), tmp_path / "cache")
    assert files_of(found.root) == {
        "run.sh": "#!/bin/sh\necho one\n",
        "evals/main.py": "print(1)\n",
        "uv.lock": "one\n",
    }
    assert (found.root / "run.sh").stat().st_mode & 0o777 == 0o555
    assert (found.root / "uv.lock").stat().st_mode & 0o777 == 0o444
    assert found.commit_time == 1767225600
    assert found.pins.tree == git(repository, "rev-parse", "HEAD^{tree}")


def test_the_work_tree_and_its_later_commits_do_not_matter(repository: Path, tmp_path: Path) -> None:
    first = head(repository)
    (repository / "uv.lock").write_text("two\n")
    commit(repository)
    (repository / "uv.lock").write_text("dirty\n")
    assert files_of(fetch(repository, first, tmp_path / "cache").root)["uv.lock"] == "one\n"


def test_no_attribute_or_configuration_of_this_machine_changes_a_byte(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / ".gitattributes").write_text(
        "*.txt text eol=crlf ident\nhidden export-ignore\nsubst export-subst\n*.bin filter=boom\n"
    )
    (repository / "a.txt").write_text("one\n$Id$\n")
    (repository / "hidden").write_text("here\n")
    (repository / "subst").write_text("$Format:%H$\n")
    (repository / "b.bin").write_text("raw\n")
    (tmp_path / ".gitconfig").write_text(
        '[core]\nautocrlf = true\n[filter "boom"]\nsmudge = touch smudged\nrequired = true\n'
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    found = files_of(fetch(repository, commit(repository), tmp_path / "cache").root)
    assert (found["a.txt"], found["hidden"]) == ("one\n$Id$\n", "here\n")
    assert (found["subst"], found["b.bin"]) == ("$Format:%H$\n", "raw\n")


@pytest.mark.parametrize("references", [("HEAD",), ("main",), ("HEAD", "main")])
def test_a_git_bundle_is_read_with_and_without_head(
    repository: Path, tmp_path: Path, references: tuple[str, ...]
) -> None:
    path = bundle(repository, *references)
    assert fetch(path, head(repository), tmp_path / "cache").root.is_dir()


def test_a_bundle_in_a_relative_folder_is_found(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle(repository, "HEAD")
    monkeypatch.chdir(tmp_path)
    code, settings = Code("code.bundle", head(repository)), FetchSettings(Path())
    assert fetch_code(code, Cache(tmp_path / "cache"), settings).root.is_dir()


def test_a_shallow_clone_serves_the_commit_it_has(repository: Path, tmp_path: Path) -> None:
    (repository / "uv.lock").write_text("two\n")
    last = commit(repository)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repository}", str(clone))
    assert fetch(clone, last, tmp_path / "cache").root.is_dir()


def test_a_repository_that_belongs_to_somebody_else_is_read(repository: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    wanted = head(repository)
    for path in (repository, *repository.rglob("*")):
        os.chown(path, 12345, 12345)
    assert fetch(repository, wanted, tmp_path / "cache").root.is_dir()


def test_a_missing_commit_is_said(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="is not to be had") as caught:
        fetch(repository, "0" * 39 + "1", tmp_path / "cache")
    assert caught.value.code == "commit-not-found"


def test_a_repository_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "code.bundle").write_text("no bundle")
    for source in ("nowhere", "code.bundle"):
        with pytest.raises(InfrastructureError, match="is not to be had"):
            fetch(tmp_path / source, "0" * 40, tmp_path / "cache")


def test_a_tag_or_tree_is_no_commit(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError):
        fetch(repository, git(repository, "rev-parse", "HEAD^{tree}"), tmp_path / "cache")


@pytest.mark.parametrize("change", [{"path": "nowhere"}, {"path": "uv.lock"}, {"lockfiles": ("no.lock",)}])
def test_a_path_or_lock_file_that_is_not_in_the_commit_is_refused(
    repository: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    with pytest.raises(MalformedError, match="does not exist at commit"):
        fetch(repository, head(repository), tmp_path / "cache", **change)


def test_a_submodule_is_refused(repository: Path, tmp_path: Path) -> None:
    made = commit_objects(repository, ("160000", "1" * 40, "sub"))
    with pytest.raises(MalformedError) as caught:
        fetch(repository, made, tmp_path / "cache")
    assert "submodule" in str(caught.value.context)


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "evals/../../outside", ".."])
def test_a_link_that_leaves_the_tree_is_refused(repository: Path, tmp_path: Path, target: str) -> None:
    (repository / "link").symlink_to(target)
    with pytest.raises(MalformedError) as caught:
        fetch(repository, commit(repository), tmp_path / "cache")
    assert "outside" in str(caught.value.context)


def test_a_link_that_leaves_the_tree_by_way_of_another_is_refused(repository: Path, tmp_path: Path) -> None:
    (repository / "evals" / "up").symlink_to("..")
    (repository / "link").symlink_to("evals/up/../outside")
    with pytest.raises(MalformedError) as caught:
        fetch(repository, commit(repository), tmp_path / "cache")
    assert "outside" in str(caught.value.context)


def test_links_inside_the_tree_stay_links(repository: Path, tmp_path: Path) -> None:
    (repository / "evals" / "lock").symlink_to("../uv.lock")
    (repository / "dangling").symlink_to("not-there")
    (repository / "loop").symlink_to("loop")
    root = fetch(repository, commit(repository), tmp_path / "cache").root
    assert (root / "evals" / "lock").readlink() == Path("../uv.lock")
    assert (root / "dangling").is_symlink()


@pytest.mark.parametrize("packed", [False, True], ids=["repository", "bundle"])
@pytest.mark.parametrize("name", ["..", ".git", ".", "a/../../../../evil", "TMP/evil", ".GIT"])
def test_a_name_that_leaves_the_tree_is_refused(
    repository: Path, tmp_path: Path, name: str, *, packed: bool
) -> None:
    name = name.replace("TMP", str(tmp_path))
    inside = tree(repository, ("100644", blob(repository), "evil"))
    kind = ("40000", inside) if name in ("..", ".", ".git", ".GIT") else ("100644", blob(repository))
    made = commit_objects(repository, (*kind, name))
    source = bundle(repository, "refs/heads/odd") if packed else repository
    with pytest.raises(EvalctlError):
        fetch(source, made, tmp_path / "cache")
    assert not list(tmp_path.rglob("evil"))


def test_a_file_below_a_link_is_refused(repository: Path, tmp_path: Path) -> None:
    """The link first, then a file through it: the way out of many an unpacker."""
    outside = tmp_path / "outside"
    outside.mkdir()
    up = blob(repository, b"..")
    made = commit_objects(
        repository,
        ("120000", up, "a"),
        ("40000", tree(repository, ("100644", blob(repository), "evil")), "a"),
    )
    with pytest.raises(EvalctlError):
        fetch(bundle(repository, "refs/heads/odd"), made, tmp_path / "cache")
    assert not list(tmp_path.rglob("evil"))


def test_a_tree_that_multiplies_is_stopped_before_it_fills_the_memory(
    repository: Path, tmp_path: Path
) -> None:
    mode, inner = "100644", blob(repository)
    for _ in range(10):
        inner, mode = tree(repository, *((mode, inner, f"d{index}") for index in range(10))), "40000"
    made = commit_objects(repository, (mode, inner, "bomb"))
    with pytest.raises(MalformedError) as caught:
        fetch(repository, made, tmp_path / "cache")
    assert "files" in str(caught.value.context)


@pytest.mark.parametrize(
    "source",
    [
        "ext::sh -c touch% pwned",
        "ext::sh -c touch% pwned #://",
        "./--upload-pack=touch pwned;",
        "--upload-pack=touch pwned;",
        "./-u://touch pwned",
        "fd::17/foo",
        "file:///nowhere;touch pwned",
    ],
)
def test_a_hostile_address_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.chdir(tmp_path)
    code, settings = Code(source, "1" * 40), FetchSettings(Path())
    with pytest.raises(InfrastructureError):
        fetch_code(code, Cache(tmp_path / "cache"), settings)
    assert not (tmp_path / "pwned").exists()


def test_a_path_that_looks_like_a_host_reaches_no_host(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.rename(tmp_path / "host:repository")
    wanted = head(tmp_path / "host:repository")
    monkeypatch.chdir(tmp_path)
    code, settings = Code("host:repository", wanted), FetchSettings(Path())
    assert fetch_code(code, Cache(tmp_path / "cache"), settings).root.is_dir()


def test_a_hostile_repository_runs_nothing(repository: Path, tmp_path: Path) -> None:
    wanted = head(repository)
    touch = f"touch {tmp_path}/pwned"
    for key in ("uploadpack.packObjectsHook", "core.fsmonitor", "core.sshCommand", "core.pager"):
        git(repository, "config", key, touch)
    git(repository, "config", "core.hooksPath", str(repository / "hooks"))
    (repository / "hooks").mkdir()
    for hook in ("post-checkout", "pre-auto-gc", "reference-transaction", "post-index-change"):
        (repository / "hooks" / hook).write_text(f"#!/bin/sh\n{touch}\n")
        (repository / "hooks" / hook).chmod(0o755)
    fetch(repository, wanted, tmp_path / "cache")
    assert not (tmp_path / "pwned").exists()


def test_a_commit_that_two_fetch_at_once_stays_where_the_first_put_it(
    repository: Path, tmp_path: Path
) -> None:
    wanted, first = head(repository), []
    settings = FetchSettings(
        tmp_path, say=lambda _: first.append(fetch(repository, wanted, tmp_path / "cache").root.stat().st_ino)
    )
    second = fetch_code(Code(str(repository), wanted), Cache(tmp_path / "cache"), settings)
    assert [second.root.stat().st_ino] == first
    assert {path.name for path in (tmp_path / "cache" / "code").iterdir()} == {wanted}


def test_a_damaged_cache_is_noticed_and_mended(repository: Path, tmp_path: Path) -> None:
    found = fetch(repository, head(repository), tmp_path / "cache")
    (found.root / "uv.lock").chmod(0o644)
    (found.root / "uv.lock").write_text("damaged\n")
    (found.root / "extra").write_text("extra\n")
    again = fetch(repository, head(repository), tmp_path / "cache")
    assert files_of(again.root)["uv.lock"] == "one\n"
    assert "extra" not in files_of(again.root)
    assert again.pins == found.pins


def test_a_link_to_a_folder_is_watched_like_every_file(repository: Path, tmp_path: Path) -> None:
    (repository / "other").mkdir()
    (repository / "other" / "main.py").write_text("print(2)\n")
    (repository / "current").symlink_to("evals")
    wanted = commit(repository)
    found = fetch(repository, wanted, tmp_path / "cache")
    (found.root / "current").unlink()
    (found.root / "current").symlink_to("other")
    assert fetch(repository, wanted, tmp_path / "cache").root.joinpath("current").readlink() == Path("evals")


def test_the_cache_serves_a_commit_whose_repository_is_gone(repository: Path, tmp_path: Path) -> None:
    wanted = head(repository)
    first = fetch(repository, wanted, tmp_path / "cache")
    assert fetch("/nowhere", wanted, tmp_path / "cache") == first


def test_a_password_in_the_address_is_in_no_message(tmp_path: Path) -> None:
    said: list[str] = []
    settings = FetchSettings(tmp_path, say=said.append)
    code = Code("http://user:hunter2@127.0.0.1:9/repository", "1" * 40)
    with pytest.raises(InfrastructureError) as caught:
        fetch_code(code, Cache(tmp_path / "cache"), settings)
    assert "hunter2" not in f"{said} {caught.value.as_json()}"


def test_offline_fetches_no_commit_from_the_network(tmp_path: Path) -> None:
    settings = FetchSettings(tmp_path, offline=True)
    with pytest.raises(InfrastructureError) as caught:
        fetch_code(Code("http://127.0.0.1:9/r", "1" * 40), Cache(tmp_path / "cache"), settings)
    assert caught.value.code == "code-not-cached"
