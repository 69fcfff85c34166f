"""A new evaluation is whole or not there, belongs to the right repository, and runs with plain Python."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.authoring.repository import CHECKOUT, begin_repository, find_repository
from launcher.authoring.scaffold import Scaffold, write_scaffold
from launcher.authoring.starter import StartingPoint, starter
from launcher.cli.app import run
from launcher.errors import InfrastructureError, MalformedError
from launcher.spec.reading import read_blueprint
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld

FILES = Scaffold({"a.txt": b"a", "sub/b.txt": b"b"}, {"link": "elsewhere"})


@pytest.fixture
def git_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let git find no configuration but an empty one, and return that."""
    configuration = tmp_path / "gitconfig"
    configuration.write_text("")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return configuration


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """Make what `init` looks at in an image layout."""
    folder = tmp_path / "layout"
    folder.mkdir()
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    manifest = {"mediaType": "any", "digest": f"sha256:{'a' * 64}", "size": 1}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    return folder


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def listed(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def fail_late(folder: Path) -> None:
    assert (folder / "a.txt").exists()
    raise InfrastructureError("no", code="no")


def test_a_scaffold_is_written_with_its_links(tmp_path: Path) -> None:
    write_scaffold(FILES, tmp_path / "deep" / "new")
    assert listed(tmp_path / "deep") == ["new", "new/a.txt", "new/link", "new/sub", "new/sub/b.txt"]


def test_a_fault_at_the_end_leaves_nothing_in_a_new_folder(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError):
        write_scaffold(FILES, tmp_path / "new", fail_late)
    assert listed(tmp_path) == []


def test_a_fault_at_the_end_leaves_a_folder_of_old_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InfrastructureError):
        write_scaffold(FILES, tmp_path, fail_late)
    assert listed(tmp_path) == ["mine.txt"]


def test_what_appears_meanwhile_is_kept_and_the_rest_taken_back(tmp_path: Path) -> None:
    def interfere(staged: Path) -> None:
        (tmp_path / "sub").mkdir()

    with pytest.raises(InfrastructureError, match="cannot write"):
        write_scaffold(FILES, tmp_path, interfere)
    assert listed(tmp_path) == ["sub"]


def test_every_file_in_the_way_is_named_and_none_is_touched(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(MalformedError, match=r"already holds `a.txt`, `link`"):
        write_scaffold(FILES, tmp_path)
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert listed(tmp_path) == ["a.txt", "link"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(MalformedError, match="is a file"):
        write_scaffold(FILES, tmp_path / "taken")


def test_the_first_commit_has_a_neutral_name_and_the_configuration_stays(
    tmp_path: Path, git_without_a_name: Path
) -> None:
    write_scaffold(FILES, tmp_path / "new", lambda staged: begin_repository(staged) and None)
    assert (
        git(tmp_path / "new", "log", "--format=%an <%ae>, %cn")
        == "evalctl init <init@localhost>, evalctl init"
    )
    assert git_without_a_name.read_text() == ""
    assert "user" not in (tmp_path / "new" / ".git" / "config").read_text()


def test_the_first_commit_has_the_users_own_name_and_asks_for_no_signature(
    tmp_path: Path, git_without_a_name: Path
) -> None:
    git_without_a_name.write_text("[user]\nname=Ann\nemail=a@example.org\n[commit]\ngpgSign=true\n")
    write_scaffold(FILES, tmp_path / "new", lambda staged: begin_repository(staged) and None)
    assert git(tmp_path / "new", "log", "--format=%an <%ae>") == "Ann <a@example.org>"


def test_git_that_refuses_leaves_nothing(
    tmp_path: Path, git_without_a_name: Path, layout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git_without_a_name.write_text("[broken")
    assert run(["init", str(tmp_path / "new"), "--image", str(layout)]) == 4
    assert "`git rev-parse` failed" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_folder_in_a_repository_is_found_and_its_way_known(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    place = find_repository(tmp_path / "evals" / "new")
    assert place is not None
    assert (place.top, place.up, place.down) == (tmp_path, "../..", "evals/new")
    top = find_repository(tmp_path)
    assert top is not None
    assert (top.up, top.down) == (".", "")


def test_a_folder_that_its_repository_ignores_gets_one_of_its_own(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("build/\n")
    assert find_repository(tmp_path / "build" / "new") is None


def test_in_a_repository_of_the_users_nothing_is_committed(
    tmp_path: Path, layout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "init", "--quiet")
    folder = tmp_path / "evals" / "new one"
    assert run(["init", str(folder), "--image", str(layout)]) == 0
    said = capsys.readouterr()
    assert "committed" not in said.out
    assert f"cd '{folder}' && git add . && git commit" in said.err
    assert not (folder / ".git").exists()
    code = tomllib.loads((folder / "blueprint.toml").read_text())["code"]
    assert code == {"git": "../..", "commit": "", "path": "evals/new one"}
    about = tomllib.loads((folder / "blueprint.toml").read_text())["blueprint"]
    assert about["name"] == "me/new-one"


@pytest.mark.parametrize("path", ['quo"te', "back\\slash", "täg", "del\x7fete", "@NAME@"])
def test_any_folder_name_makes_toml(path: str) -> None:
    files = starter(StartingPoint("me/it", Path("/layout"), None, "..", path)).files
    assert tomllib.loads(files["blueprint.toml"].decode())["code"]["path"] == path


def test_the_new_evaluation_is_committed_without_the_labels(
    tmp_path: Path, layout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new"
    assert run(["init", str(folder), "--image", str(layout), "--name", "acme/reviews", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["commit"] == git(folder, "rev-parse", "HEAD")
    assert answer["name"] == "acme/reviews"
    committed = git(folder, "ls-files").splitlines()
    assert set(answer["files"]) - set(committed) == {"held-out/labels.jsonl", "image"}
    assert git(folder, "status", "--porcelain") == ""
    assert (folder / "image").resolve() == layout


def test_the_starters_own_test_passes_with_plain_python(
    tmp_path: Path, layout: Path, git_without_a_name: Path
) -> None:
    assert run(["init", str(tmp_path / "new"), "--image", f"oci:{layout}"]) == 0
    done = subprocess.run(
        [sys.executable, "-S", "-m", "unittest"],
        cwd=tmp_path / "new",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 2 tests" in done.stderr


def test_every_review_has_a_label_and_no_two_are_alike(tmp_path: Path) -> None:
    files = starter(StartingPoint("me/it", Path("/layout"))).files
    reviews = [json.loads(line) for line in files["data/reviews.jsonl"].splitlines()]
    labels = [json.loads(line) for line in files["held-out/labels.jsonl"].splitlines()]
    assert [row["id"] for row in reviews] == [row["id"] for row in labels]
    assert len({row["text"] for row in reviews}) == 60
    assert sorted(row["target"] for row in labels).count("positive") == 30


def image_faults(tmp_path: Path, layout: Path) -> list[tuple[str, Callable[[], object]]]:
    index = layout / "index.json"
    return [
        (str(tmp_path / "none"), lambda: None),
        (str(layout), lambda: index.write_text('{"schemaVersion":2,"manifests":[]}')),
        ("registry.example/acme/image:1", lambda: None),
    ]


@pytest.mark.parametrize("number", range(3))
def test_an_image_that_is_none_is_refused_before_anything_is_written(
    tmp_path: Path, layout: Path, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    image, spoil = image_faults(tmp_path, layout)[number]
    spoil()
    assert run(["init", str(tmp_path / "new"), "--image", image]) == 2
    assert "--image oci:PATH" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_an_image_by_digest_is_pinned_at_once(tmp_path: Path, layout: Path) -> None:
    digest = f"sha256:{'a' * 64}"
    assert run(["init", str(tmp_path / "new"), "--image", f"oci:{layout}@{digest}"]) == 0
    image = tomllib.loads((tmp_path / "new" / "blueprint.toml").read_text())["image"]
    assert image == {"ref": f"oci:image@{digest}"}


def test_an_unwritable_place_is_an_error_of_the_machine(tmp_path: Path, layout: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (tmp_path / "closed").mkdir(mode=0o500)
    assert run(["init", str(tmp_path / "closed" / "new"), "--image", str(layout)]) == 4


BLUEPRINT = """\
# A remark.
schema = "evalctl/blueprint/v1"
[blueprint]
name = "acme/it" # its name
version = "1.0.0"
[image]
ref = "oci:../layout@sha256:{digest}"
mirrors = ["oci:near", "registry.example/acme/it"]
[code]
git = "code.bundle"
commit = "{commit}"
[[data]]
name = "near"
uri = "data/near.txt"
sha256 = ""
[[data]]
name = "out"
uri = "../out.txt"
sha256 = ""
[[data]]
name = "far"
uri = "https://example.org/far.txt"
sha256 = ""
"""


@pytest.fixture
def source(tmp_path: Path, layout: Path) -> Path:
    """Write a blueprint whose files are beside it, above it and far away."""
    folder = tmp_path / "source"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "near.txt").write_text("near")
    (folder / "code.bundle").write_text("a bundle")
    (tmp_path / "out.txt").write_text("out")
    (folder / "blueprint.toml").write_text(BLUEPRINT.format(digest="a" * 64, commit="c" * 40))
    return folder / "blueprint.toml"


def test_a_copy_has_what_stands_beside_the_blueprint_and_links_its_image(
    tmp_path: Path, source: Path, layout: Path
) -> None:
    assert run(["init", str(tmp_path / "copy"), "--from", str(source.parent), "--name", "me/mine"]) == 0
    copy = tmp_path / "copy"
    assert listed(copy) == [".gitignore", "blueprint.toml", "code.bundle", "data", "data/near.txt", "image"]
    assert (copy / "image").resolve() == layout
    text = source.read_text().replace('acme/it" #', 'me/mine" #').replace("../layout@", "image@")
    text = text.replace("oci:near", f"oci:{source.parent / 'near'}")
    assert (copy / "blueprint.toml").read_text() == text.replace("../out.txt", f"{source.parent}/../out.txt")
    assert (copy / "data" / "near.txt").read_text() == "near"


@pytest.mark.parametrize(
    "odd", [".git/config", "a/.GIT/config", "blueprint.toml", ".gitignore", "image", "image/deep"]
)
def test_a_copy_takes_nothing_that_means_something_else_there(
    tmp_path: Path, source: Path, layout: Path, odd: str
) -> None:
    """A repository's configuration runs commands; the copy's own files are not the source's."""
    (source.parent / odd).parent.mkdir(parents=True, exist_ok=True)
    text = source.read_text().replace("data/near.txt", odd)
    (source.parent / odd).write_text("theirs")
    source.write_text(text)
    assert run(["init", str(tmp_path / "copy"), "--from", str(source)]) == 0
    copy = tmp_path / "copy"
    assert listed(copy) == [".gitignore", "blueprint.toml", "code.bundle", "image"]
    assert str(source.parent / odd) in (copy / "blueprint.toml").read_text()
    assert (copy / "image").resolve() == layout


def test_a_copied_name_moves_no_cursor(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source.parent / "data\x1b]0;evil\x07").write_text("")
    source.write_text(source.read_text().replace("data/near.txt", r"data\u001b]0;evil\u0007"))
    assert run(["init", str(tmp_path / "copy"), "--from", str(source)]) == 0
    assert r"data\x1b]0;evil\x07" in capsys.readouterr().out


@pytest.mark.parametrize("named", ["", "blueprint.toml"])
def test_a_copy_keeps_its_name_unless_it_is_given_one(
    tmp_path: Path, source: Path, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", str(tmp_path / "copy"), "--from", str(source.parent / named), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "acme/it"


def test_every_blueprint_of_evalctl_can_be_begun_from(tmp_path: Path) -> None:
    for path in (CHECKOUT / "blueprints").glob("*/blueprint.toml"):
        name = path.parent.name
        assert run(["init", str(tmp_path / name), "--from", name]) == 0
        read_blueprint((tmp_path / name / "blueprint.toml").read_bytes(), file=name)


def test_a_blueprint_that_is_nowhere_is_told_with_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", str(tmp_path / "copy"), "--from", "digits-smv"]) == 2
    assert "digits-svm" in capsys.readouterr().err


def test_a_copy_of_what_is_no_toml_is_refused(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source.write_text("[broken")
    assert run(["init", str(tmp_path / "copy"), "--from", str(source)]) == 2
    assert not (tmp_path / "copy").exists()


def test_a_copy_is_pinned_next_only_where_something_is_open(world: SmallWorld, evalctl: Evalctl) -> None:
    file, copy = world.write(), world.root / "copy"
    assert "evalctl launch blueprint.toml" in evalctl("init", copy, "--from", file).err
    file.write_text(re.sub('sha256 = "[0-9a-f]+"', 'sha256 = ""', file.read_text()))
    assert "evalctl pin blueprint.toml" in evalctl("init", world.root / "another", "--from", file).err
