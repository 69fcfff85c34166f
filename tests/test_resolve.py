"""Resolving: the same lock everywhere, and a clear refusal of what is not as pinned."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.errors import EvalctlError, InfrastructureError, MalformedError
from launcher.spec.lock import read_lock
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld, blueprint_text
from tests.image.makers import make_layout

PLACES = (("UTC", 0o022, "C"), ("Asia/Tokyo", 0o077, "de_DE.UTF-8"))
ITEMS = 'name = "items"\nuri = "items.jsonl"\nsha256 = "{items}"'
NO_DIGEST = "0" * 64
MAIN = "import sys; from launcher.cli.app import main; main()"


def test_two_clones_resolve_to_the_same_bytes_wherever_they_are(world: SmallWorld, tmp_path: Path) -> None:
    """Other folders, working directories, time zones, umasks, languages and homes: one lock."""
    world.write(code='git = "code.bundle"\ncommit = "{commit}"\npath = "evals"\nlockfiles = ["pins.lock"]')
    locks = []
    for number, (zone, umask, language) in enumerate(
        (("UTC", 0o022, "C"), ("Asia/Tokyo", 0o077, "de_DE.UTF-8"))
    ):
        clone = tmp_path / f"a place {number}" / "clone"
        shutil.copytree(world.folder, clone)
        where, name = (clone, Path("blueprint.toml")) if number else (tmp_path, clone / "blueprint.toml")
        old = os.umask(umask)
        try:
            subprocess.run(
                [
                    sys.executable,
                    "-c",
                    "import sys; from launcher.cli.app import main; main()",
                    "resolve",
                    str(name),
                ],
                cwd=where,
                env=os.environ
                | {"EVALCTL_HOME": str(tmp_path / f"home {number}"), "TZ": zone, "LC_ALL": language},
                check=True,
                capture_output=True,
            )
        finally:
            os.umask(old)
        locks.append((clone / "blueprint.lock.json").read_bytes())
    assert locks[0] == locks[1]


def test_the_identity_names_no_place_title_author_time_or_host(world: SmallWorld) -> None:
    lock = world.resolve().lock
    text = json.dumps(lock.identity)
    for odd in ("items.jsonl", "code.bundle", "oci:", "Remainders", str(world.root), os.uname().nodename):
        assert odd not in text
    forbidden = {"title", "authors", "uri", "git", "ref", "mirrors", "time", "host", "user", "rationale"}
    assert not set(lock.identity) & forbidden


def test_where_things_are_found_does_not_change_the_identity(world: SmallWorld) -> None:
    first = world.resolve().lock
    (world.folder / "elsewhere").mkdir()
    for name in ("items.jsonl", "code.bundle", "image"):
        (world.folder / name).rename(world.folder / "elsewhere" / name)
    moved = world.resolve(
        blueprint='name = "acme/thirds"\nversion = "1.0.0"\ntitle = "Another title"\nauthors = ["B"]',
        image='ref = "oci:nowhere@{image}"\nmirrors = ["oci:elsewhere/image"]',
        code='git = "elsewhere/code.bundle"\ncommit = "{commit}"',
        data='name = "items"\nuri = "file:elsewhere/items.jsonl"\nsha256 = "{items}"',
    ).lock
    assert moved.digest == first.digest
    assert moved.data != first.data


@pytest.mark.parametrize(
    "change",
    [
        {"config": "temperature = 0.25"},
        {"run": 'command = ["answer", "now"]'},
        {"run": 'command = ["answer"]\nseeds = [1]'},
        {"run": 'command = ["answer"]\ntimeout = "2h"'},
        {"resources": 'cpus = 2\nmemory = "1GiB"\noutput = "16MiB"'},
        {"sandbox": 'allow = ["exec-tmp"]'},
        {"sandbox": 'runtime = "runsc"'},
        {"code": 'git = "code.bundle"\ncommit = "{commit}"\npath = "evals"'},
        {"code": 'git = "code.bundle"\ncommit = "{commit}"\nlockfiles = ["pins.lock"]'},
        {"metric": 'name = "accuracy"\ndefinition = "accuracy@1"\nthreshold = { min = 0.5 }'},
    ],
)
def test_whatever_decides_the_result_changes_the_identity(world: SmallWorld, change: dict[str, str]) -> None:
    assert world.resolve(**change).lock.digest != world.resolve().lock.digest


def test_resolve_writes_a_lock_and_its_signature_that_launch_takes(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    done = evalctl("resolve", world.write(), "--json")
    written = json.loads(done.out)
    path = world.folder / "blueprint.lock.json"
    assert (done.code, written["lock"]) == (0, str(path))
    assert read_lock(path.read_bytes()).digest == written["digest"]
    launched = json.loads(evalctl("launch", path, "--json").out)
    assert launched["lock"] == written["digest"]
    assert (Path(launched["bundle"]) / "lock.json").read_bytes() == path.read_bytes()
    signature = (world.folder / "blueprint.lock.sigstore.json").read_bytes()
    assert (Path(launched["bundle"]) / "attestations" / "lock.sigstore.json").read_bytes() == signature


def test_check_passes_until_something_drifts(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    assert evalctl("resolve", world.file, "--check").code == 2
    evalctl("resolve", world.file)
    before = (world.folder / "blueprint.lock.json").stat().st_mtime_ns
    assert evalctl("resolve", world.file, "--check").code == 0
    world.write(config="temperature = 0.25")
    done = evalctl("resolve", world.file, "--check")
    assert (done.code, "evalctl resolve" in done.err) == (1, True)
    assert (world.folder / "blueprint.lock.json").stat().st_mtime_ns == before


def test_a_lock_whose_blueprint_was_changed_is_refused(world: SmallWorld, evalctl: Evalctl) -> None:
    evalctl("resolve", world.write())
    path = world.folder / "blueprint.lock.json"
    path.write_bytes(path.read_bytes().replace(b"temperature = 0.5", b"temperature = 0.6"))
    assert evalctl("launch", path).code == 2


def test_a_signature_of_another_lock_is_refused(world: SmallWorld, evalctl: Evalctl) -> None:
    evalctl("resolve", world.write())
    signature = world.folder / "blueprint.lock.sigstore.json"
    kept = signature.read_bytes()
    evalctl("resolve", world.write(config="temperature = 0.25"))
    signature.write_bytes(kept)
    assert evalctl("launch", world.folder / "blueprint.lock.json").code == 1
    signature.write_bytes(b"{}")
    assert evalctl("launch", world.folder / "blueprint.lock.json").code == 1
    assert world.engine.tasks == []


def test_a_lock_signed_by_a_stranger_is_not_launched(world: SmallWorld, evalctl: Evalctl) -> None:
    evalctl("key", "new", world.root / "stranger")
    evalctl("resolve", world.write(), "--key", world.root / "stranger")
    done = evalctl("launch", world.folder / "blueprint.lock.json")
    assert (done.code, "trust add" in done.err) == (3, True)
    assert world.engine.tasks == []


@pytest.mark.parametrize(
    ("change", "code", "kind"),
    [
        (
            {"data": 'name = "items"\nuri = "items.jsonl"\nsha256 = "' + "0" * 64 + '"'},
            "input-digest-mismatch",
            4,
        ),
        (
            {"data": 'name = "items"\nuri = "items.jsonl"\nsha256 = "{items}"\nsize = 1'},
            "input-size-mismatch",
            4,
        ),
        ({"data": 'name = "items"\nuri = "none"\nsha256 = "' + "0" * 64 + '"'}, "input-not-found", 4),
        ({"code": 'git = "code.bundle"\ncommit = "' + "0" * 40 + '"'}, "commit-not-found", 4),
        ({"code": 'git = "none"\ncommit = "' + "0" * 40 + '"'}, "commit-not-found", 4),
        ({"code": 'git = "code.bundle"\ncommit = "{commit}"\npath = "none"'}, "no-such-path-in-code", 2),
        ({"code": 'git = "code.bundle"\ncommit = "{commit}"\nlockfiles = ["n"]'}, "no-such-path-in-code", 2),
        ({"image": 'ref = "oci:image@sha256:' + "0" * 64 + '"'}, "image-not-found", 4),
        ({"image": 'ref = "oci:none@sha256:' + "0" * 64 + '"'}, "image-not-found", 4),
    ],
)
def test_what_is_not_to_be_had_is_said(
    world: SmallWorld, evalctl: Evalctl, change: dict[str, str], code: str, kind: int
) -> None:
    done = evalctl("resolve", world.write(**change), "--json")
    error = json.loads(done.err.splitlines()[-1])["error"]
    assert (error["code"], done.code) == (code, kind)
    assert error["hint"]
    assert not (world.folder / "blueprint.lock.json").exists()


def test_a_layout_that_lacks_the_image_is_passed_over_for_a_mirror(world: SmallWorld) -> None:
    make_layout(world.folder / "old", layers=[])
    first = world.resolve().lock
    shutil.rmtree(world.home.cache / "images")
    section = 'ref = "oci:old@{image}"\nmirrors = ["oci:none", "oci:image"]'
    assert world.resolve(image=section).lock.digest == first.digest
    world.engine.images.clear()
    assert world.launch(sections={"image": section}).bundle.is_dir()


def test_a_layout_with_damaged_bytes_is_an_error_not_a_reason_to_go_on(world: SmallWorld) -> None:
    shutil.copytree(world.folder / "image", world.folder / "good")
    digest = json.loads((world.folder / "pins.json").read_text())["image"].removeprefix("sha256:")
    blob = world.folder / "image" / "blobs" / "sha256" / digest
    blob.write_bytes(blob.read_bytes() + b" ")
    shutil.rmtree(world.home.cache / "images")
    with pytest.raises(InfrastructureError) as caught:
        world.resolve(image='ref = "oci:image@{image}"\nmirrors = ["oci:good"]')
    assert caught.value.code == "image-digest-mismatch"


@pytest.mark.parametrize(
    "git",
    [
        "ext::sh -c touch% pwned",
        "ext::sh -c touch% pwned #://",
        "--upload-pack=touch pwned;",
        "./--upload-pack=touch pwned;",
        "-u touch pwned",
        "ssh://-oProxyCommand=touch pwned/x",
        "git@-oProxyCommand=touch pwned:x",
    ],
)
def test_a_hostile_repository_address_runs_nothing(
    world: SmallWorld, evalctl: Evalctl, monkeypatch: pytest.MonkeyPatch, git: str
) -> None:
    monkeypatch.chdir(world.folder)
    world.write(code=f'git = "{git}"\ncommit = "' + "1" * 40 + '"')
    assert evalctl("resolve", "blueprint.toml").code in (2, 4)
    assert not list(world.root.rglob("pwned"))


@pytest.mark.parametrize("commit", ["--all", "HEAD", "main", "-" * 40, "0" * 39, "A" * 40])
def test_a_commit_is_forty_digits_and_nothing_else(world: SmallWorld, evalctl: Evalctl, commit: str) -> None:
    done = evalctl("resolve", world.write(code=f'git = "code.bundle"\ncommit = "{commit}"'))
    assert (done.code, "blueprint.toml:" in done.err) == (2, True)


def test_a_cached_world_needs_nothing_of_the_blueprints_folder(world: SmallWorld, tmp_path: Path) -> None:
    first = world.resolve().lock
    text = blueprint_text(world.folder)
    shutil.rmtree(world.folder)
    world.folder.mkdir()
    world.file.write_text(text)
    (world.folder / "pins.json").write_text("{}")
    from launcher.resolve import resolve
    from launcher.spec.reading import read_blueprint
    from launcher.store.cache import Cache

    again = resolve(read_blueprint(text.encode(), file="b"), Cache(world.home.cache), world.settings)
    assert again.lock.data == first.data


def test_a_broken_blueprint_names_every_problem_with_its_place(world: SmallWorld, evalctl: Evalctl) -> None:
    done = evalctl("resolve", world.write(run='comand = ["answer"]\ntimeout = "soon"'), "--json")
    error = json.loads(done.err)["error"]
    assert done.code == 2
    assert len(error["problems"]) >= 3
    assert all(problem.startswith(f"{world.file}:") for problem in error["problems"])


def test_every_refusal_is_one_of_ours(world: SmallWorld) -> None:
    for change in ({"code": 'git = "http://["\ncommit = "' + "1" * 40 + '"'},):
        with pytest.raises(EvalctlError) as caught:
            world.resolve(**change)
        assert isinstance(caught.value, InfrastructureError | MalformedError)


def test_a_locked_launch_takes_the_lock_beside_the_blueprint_and_no_other(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    done = evalctl("launch", world.write(), "--locked")
    assert (done.code, "evalctl resolve" in done.err) == (2, True)
    evalctl("resolve", world.file)
    lock = world.folder / "blueprint.lock.json"
    launched = json.loads(evalctl("launch", world.file, "--locked", "--json").out)
    assert (Path(launched["bundle"]) / "lock.json").read_bytes() == lock.read_bytes()
    signature = lock.with_name("blueprint.lock.sigstore.json").read_bytes()
    assert (Path(launched["bundle"]) / "attestations" / "lock.sigstore.json").read_bytes() == signature
    assert evalctl("launch", lock, "--locked").code == 0

    before = len(world.engine.tasks)
    world.write(config="temperature = 0.25")
    done = evalctl("launch", world.file, "--locked")
    assert (done.code, "is not what the blueprint resolves to" in done.err) == (1, True)
    world.write(blueprint='name = "acme/thirds"\nversion = "1.0.0"\ntitle = "Another title"')
    assert evalctl("launch", world.file, "--locked").code == 1
    assert len(world.engine.tasks) == before


def test_a_lock_of_a_part_is_not_what_its_blueprint_resolves_to(world: SmallWorld, evalctl: Evalctl) -> None:
    bundle = json.loads(evalctl("launch", world.write(), "--limit", "3", "--json").out)["bundle"]
    (world.folder / "blueprint.lock.json").write_bytes((Path(bundle) / "lock.json").read_bytes())
    assert evalctl("launch", world.file, "--locked").code == 1
