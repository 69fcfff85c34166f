"""What a blueprint leaves open is filled in from what is there, shown first, and written whole."""

import http.server
import json
import os
import pty
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from launcher.cli.app import run
from launcher.digest import sha256_hex
from launcher.spec.reading import read_blueprint
from tests.image.makers import make_layout

TAIL = """
[run]
command = ["true"]
[[metric]]
name = "accuracy"
definition = "accuracy@1"
"""


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Place:
    """A folder with a repository, an image layout, a data file and a blueprint without a pin."""

    def __init__(self, folder: Path, layout: Path, digest: str) -> None:
        self.folder, self.digest = folder, digest
        self.file = folder / "blueprint.toml"
        (folder / "image").symlink_to(layout)
        (folder / "data.txt").write_text("some data\n")
        (folder / "code.py").write_text("print()\n")
        git(folder, "init", "--quiet", "--initial-branch=main")
        git(folder, "add", "code.py")
        git(folder, "commit", "--quiet", "-m", "One")
        self.commit = git(folder, "rev-parse", "HEAD")
        self.write()

    def write(
        self, *, ref: str = "oci:image", code: str = 'git = "."', data: str = 'uri = "data.txt"'
    ) -> None:
        head = 'schema = "evalctl/blueprint/v1"\n[blueprint]\nname = "a/b"\nversion = "1.0.0"\n'
        body = f'[image]\nref = "{ref}"\n[code]\n{code}\n[[data]]\nname = "it"\n{data}\nlicense = "CC0-1.0"\n'
        self.file.write_text(head + body + TAIL)

    def values(self) -> dict[str, Any]:
        return tomllib.loads(self.file.read_text())

    def pin(self, *options: str) -> int:
        return run(["pin", str(self.file), "--yes", *options])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("EVALCTL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    (tmp_path / "here").mkdir()
    return Place(tmp_path / "here", tmp_path / "layout", make_layout(tmp_path / "layout"))


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    done = capsys.readouterr()
    return done.out, done.err


def test_a_blueprint_without_a_pin_gets_them_all_and_is_valid(place: Place) -> None:
    assert place.pin() == 0
    values = place.values()
    assert values["image"]["ref"] == f"oci:image@{place.digest}"
    assert values["code"] == {"git": ".", "commit": place.commit}
    assert values["data"][0]["sha256"] == sha256_hex(b"some data\n")
    assert values["data"][0]["size"] == 10
    read_blueprint(place.file.read_bytes(), file="it")


def test_a_folder_gets_its_tree_digest(place: Place) -> None:
    (place.folder / "set" / "sub").mkdir(parents=True)
    (place.folder / "set" / "sub" / "a").write_text("a")
    place.write(data='uri = "set"')
    assert place.pin() == 0
    expected = sha256_hex(f"{sha256_hex(b'a')}  sub/a\n".encode())
    assert place.values()["data"][0]["sha256"] == expected
    assert place.values()["data"][0]["size"] == 1


def test_running_it_again_changes_nothing_and_reads_no_source(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.pin()
    before = place.file.read_bytes()
    for path in (place.folder / "image", place.folder / "data.txt"):
        path.unlink()
    capsys.readouterr()
    assert run(["pin", str(place.file), "--check"]) == 0
    assert place.pin() == 0
    assert "everything is pinned" in said(capsys)[0]
    assert place.file.read_bytes() == before


@pytest.mark.parametrize("reference", ["", "HEAD", "main", "v1", "v2", "{commit:.10}"])
def test_whatever_git_knows_becomes_the_commit(place: Place, reference: str) -> None:
    git(place.folder, "tag", "v1")
    git(place.folder, "tag", "-a", "v2", "-m", "Two")
    place.write(code=f'git = "."\ncommit = "{reference.format(commit=place.commit)}"')
    assert place.pin() == 0
    assert place.values()["code"]["commit"] == place.commit


@pytest.mark.parametrize("reference", ["", "main", "v2"])
def test_a_bundle_of_git_is_asked_like_a_remote(place: Place, reference: str) -> None:
    git(place.folder, "tag", "-a", "v2", "-m", "Two")
    git(place.folder, "bundle", "create", "--quiet", "code.bundle", "HEAD", "main", "v2")
    place.write(code=f'git = "code.bundle"\ncommit = "{reference}"')
    assert place.pin() == 0
    assert place.values()["code"]["commit"] == place.commit


def test_a_branch_that_is_not_there_is_named(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    git(place.folder, "bundle", "create", "--quiet", "code.bundle", "HEAD", "main")
    for repository in (".", "code.bundle"):
        place.write(code=f'git = "{repository}"\ncommit = "mian"')
        assert place.pin() == 2
        assert f"`{repository}` has no commit `mian`" in said(capsys)[1]


def test_a_repository_without_a_commit_says_to_commit(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "init", "--quiet", str(tmp_path / "empty"))
    place.write(code=f'git = "{tmp_path / "empty"}"')
    assert place.pin() == 2
    assert "git commit" in said(capsys)[1]


def test_changes_that_no_commit_holds_are_refused(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    git(place.folder, "add", "blueprint.toml")
    git(place.folder, "commit", "--quiet", "-m", "The blueprint, which may change")
    place.write()
    (place.folder / "code.py").write_text("print(1)\n")
    before = place.file.read_bytes()
    assert place.pin() == 1
    assert "`code.py` in" in said(capsys)[1]
    assert place.file.read_bytes() == before
    git(place.folder, "commit", "--quiet", "-a", "-m", "Two")
    assert place.pin() == 0


@pytest.mark.parametrize("name", ["x", "x=y", "a.b"])
def test_a_strangers_repository_runs_no_command(place: Place, tmp_path: Path, name: str) -> None:
    """Its configuration comes along in a tar, and git would run the filters in it to look for changes."""
    pwned = tmp_path / "pwned"
    (place.folder / ".gitattributes").write_text(f"code.py filter={name}\n")
    git(place.folder, "add", ".gitattributes")
    git(place.folder, "commit", "--quiet", "-m", "Two")
    for kind in ("clean", "process"):
        (place.folder / ".git" / "config").open("a").write(
            f'[filter "{name}"]\n{kind} = "touch {pwned}; cat"\nrequired = true\n'
        )
    os.utime(place.folder / "code.py", (0, 0))
    assert place.pin() == 0
    assert not pwned.exists()


def test_a_strangers_repository_fetches_nothing(place: Place, tmp_path: Path) -> None:
    pwned = tmp_path / "pwned"
    (place.folder / ".git" / "config").write_text(
        "[core]\nrepositoryformatversion = 1\n[extensions]\npartialClone = origin\n"
        f'[remote "origin"]\nurl = .\npromisor = true\nuploadpack = "touch {pwned};"\n'
    )
    (place.folder / ".git" / "refs" / "heads" / "main").write_text("a" * 40 + "\n")
    assert place.pin() == 2
    assert not pwned.exists()


@pytest.mark.parametrize("odd", ["fifo", "/dev/zero"])
def test_what_can_be_no_bundle_of_git_is_not_read(
    place: Place, odd: str, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(place.folder / "fifo")
    place.write(code=f'git = "{odd}"')
    assert place.pin() == 4
    assert f"`{odd}` is no repository" in said(capsys)[1]


def test_changes_elsewhere_than_in_the_codes_path_do_not_matter(place: Place) -> None:
    (place.folder / "sub").mkdir()
    (place.folder / "sub" / "own.py").write_text("")
    git(place.folder, "add", "sub")
    git(place.folder, "commit", "--quiet", "-m", "Two")
    (place.folder / "code.py").write_text("print(1)\n")
    place.write(code='git = "."\npath = "sub"')
    assert place.pin() == 0


def test_what_is_named_for_an_update_is_pinned_anew_and_the_rest_is_left(place: Place) -> None:
    place.pin()
    (place.folder / "code.py").write_text("print(1)\n")
    git(place.folder, "commit", "--quiet", "-a", "-m", "Two")
    (place.folder / "data.txt").write_text("other")
    assert place.pin("--update", "code") == 0
    values = place.values()
    assert values["code"]["commit"] == git(place.folder, "rev-parse", "HEAD") != place.commit
    assert values["data"][0]["size"] == 10
    assert place.pin("--update", "data:it", "--update", "image") == 0
    assert place.values()["data"][0]["sha256"] == sha256_hex(b"other")
    assert place.values()["data"][0]["size"] == 5


def test_a_commit_that_was_left_behind_is_remarked_on(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.pin()
    git(place.folder, "add", "blueprint.toml")
    git(place.folder, "commit", "--quiet", "-m", "The blueprint alone")
    capsys.readouterr()
    assert place.pin() == 0
    assert "stays" not in said(capsys)[1]
    (place.folder / "code.py").write_text("print(1)\n")
    git(place.folder, "commit", "--quiet", "-a", "-m", "Two")
    assert place.pin() == 0
    assert f"differs in `code.py`: `evalctl pin {place.file} --update code` moves it" in said(capsys)[1]


def test_a_change_without_a_commit_is_remarked_on(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.pin()
    (place.folder / "code.py").write_text("print(1)\n")
    capsys.readouterr()
    assert place.pin() == 0
    assert "differs in `code.py`" in said(capsys)[1]


def test_an_update_of_what_is_not_there_names_what_is(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.pin("--update", "data:that") == 2
    assert "`code`, `data:it`, `image`" in said(capsys)[1]


def test_check_writes_nothing_and_fails_where_something_is_open(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    before = place.file.read_bytes()
    assert run(["pin", str(place.file), "--check"]) == 1
    out, err = said(capsys)
    assert f'+commit = "{place.commit}"' in out
    assert f"4 values would change\n  hint: write with `evalctl pin {place.file}`" in err
    assert place.file.read_bytes() == before


def test_nobody_to_ask_is_said_after_the_difference(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    before = place.file.read_bytes()
    assert run(["pin", str(place.file)]) == 2
    out, err = said(capsys)
    assert f'+commit = "{place.commit}"' in out
    assert "--yes" in err
    assert place.file.read_bytes() == before


@pytest.mark.parametrize(("answer", "status"), [("\n", 0), ("y\n", 0), ("n\n", 1), ("what\n", 1)])
def test_on_a_terminal_it_asks(place: Place, answer: str, status: int) -> None:
    before = place.file.read_bytes()
    assert typed_on_a_terminal(["pin", str(place.file)], answer) == status
    assert (place.file.read_bytes() != before) is (status == 0)


def typed_on_a_terminal(
    arguments: list[str], answer: str, meanwhile: Callable[[], object] = lambda: None
) -> int:
    """Run evalctl on a terminal of its own, type `answer` when it asks, and return the exit code."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from launcher.cli.app import main; main()", *arguments]
    with subprocess.Popen(command, stdin=theirs, stderr=theirs, stdout=subprocess.DEVNULL) as process:
        os.close(theirs)
        shown = b""
        while b"[Y/n]" not in shown:
            shown += os.read(ours, 1000)
        meanwhile()
        os.write(ours, answer.encode())
        status = process.wait(timeout=60)
    os.close(ours)
    return status


def test_json_tells_each_value_and_whether_it_was_written(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.pin("--json") == 0
    answer = json.loads(said(capsys)[0])
    assert answer["written"] is True
    assert {"key": "code.commit", "path": ["code", "commit"], "value": place.commit} in answer["changes"]
    assert place.pin("--json") == 0
    assert json.loads(said(capsys)[0])["changes"] == []


def test_every_problem_of_what_is_pinned_is_named_at_once_and_others_are_not(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write(ref="registry.example/acme/x:1", code='gti = "."', data='uri = "ftp:x"\nsha256 = "abc"')
    place.file.write_text(place.file.read_text().replace("[run]", "[rnu]"))
    assert place.pin() == 2
    lines = said(capsys)[1].splitlines()
    assert [line.split(": ", 1)[1][:30] for line in lines[:5]] == [
        "`image.ref` is in a registry, ",
        "`code` lacks `git`: a reposito",
        "unknown key `code.gti`; did yo",
        "`data.uri` must be a URI or a ",
        "`data.sha256` must be 64 lower",
    ]
    assert "skopeo" in lines[0]


def test_tables_that_are_missing_are_named(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.file.write_text("")
    assert place.pin() == 2
    assert "lacks `[image]`" in said(capsys)[1]


def test_labels_in_the_commit_are_remarked_on(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    git(place.folder, "add", "data.txt")
    git(place.folder, "commit", "--quiet", "-m", "Labels")
    place.write(data='uri = "data.txt"\nrole = "held-out"')
    assert place.pin() == 0
    assert "the program can read it" in said(capsys)[1]


def test_a_missing_licence_is_remarked_on(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.file.write_text(place.file.read_text().replace('license = "CC0-1.0"\n', ""))
    assert place.pin() == 0
    assert "names no licence" in said(capsys)[1]


@pytest.mark.parametrize("gone", ["data.txt", "image"])
def test_what_is_not_there_is_named_and_nothing_is_written(
    place: Place, gone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (place.folder / gone).unlink()
    before = place.file.read_bytes()
    assert place.pin() == 4
    assert gone in said(capsys)[1]
    assert place.file.read_bytes() == before


def test_a_file_behind_a_link_is_written_and_keeps_its_mode(place: Place, tmp_path: Path) -> None:
    real = tmp_path / "real.toml"
    place.file.rename(real)
    place.file.symlink_to(real)
    real.chmod(0o640)
    assert place.pin() == 0
    assert place.file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """Serve `tmp_path` over http."""

    def handler(*arguments: Any) -> http.server.SimpleHTTPRequestHandler:
        return http.server.SimpleHTTPRequestHandler(*arguments, directory=str(tmp_path))

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_an_address_is_downloaded_once_and_kept_for_the_launch(
    place: Place, served: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "far.txt").write_text("far away")
    place.write(data=f'uri = "{served}/far.txt"')
    assert place.pin("--offline") == 4
    assert "`--offline` forbids" in said(capsys)[1]
    assert place.pin() == 0
    sha256 = sha256_hex(b"far away")
    assert place.values()["data"][0]["sha256"] == sha256
    kept = tmp_path / "home" / "cache" / "sha256" / sha256[:2] / sha256
    assert kept.read_text() == "far away"
    assert [path.name for path in kept.parent.parent.iterdir()] == [sha256[:2]]


def test_a_remote_repository_is_asked_for_branches_and_tags(
    place: Place, served: str, capsys: pytest.CaptureFixture[str]
) -> None:
    git(place.folder, "tag", "-a", "v2", "-m", "Two")
    git(place.folder, "update-server-info")
    for reference in ("", "HEAD", "main", "v2"):
        place.write(code=f'git = "{served}/here/.git"\ncommit = "{reference}"')
        assert place.pin() == 0
        assert place.values()["code"]["commit"] == place.commit
    place.write(code=f'git = "{served}/here/.git"\ncommit = "v3"')
    assert place.pin() == 2
    assert "its branches: main" in said(capsys)[1]
    assert place.pin("--offline") == 4


def test_validate_names_pin_where_pins_are_missing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(place.file)]) == 2
    assert f"hint: fill them in with `evalctl pin {place.file}`" in said(capsys)[1]
    place.file.write_text(place.file.read_text().replace("command", "comand"))
    assert run(["validate", str(place.file)]) == 2
    assert f"hint: mend the lines named; `evalctl pin {place.file}` fills in" in said(capsys)[1]


def test_a_change_meanwhile_is_not_overwritten(place: Place) -> None:
    others = place.file.read_text() + "# mine\n"
    arguments = ["pin", str(place.file)]
    assert typed_on_a_terminal(arguments, "y\n", lambda: place.file.write_text(others)) == 1
    assert place.file.read_text() == others
