"""A recipe's own operator is compiled in the sandbox; what went in and what came out is in labels."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from launcher.digest import digest_of
from launcher.engines.engine import HOME_LABEL
from launcher.errors import CheckFailedError, EvalctlError, MalformedError
from launcher.image.build import build_image
from launcher.image.finished import BuiltImage
from launcher.image.operators import LABEL
from launcher.image.recipe import load_recipe
from launcher.image.workshop import Workshop, session_in
from launcher.runs.leftovers import reap_dead
from launcher.store.home import Home
from tests.fakes.engine import FakeEngine, Program, World
from tests.image.makers import lock_text, make_deb, text_file
from tests.image.test_check import recipe_of

BUILD = """
[build]
compiler = "cc-1"
sources = ["src/op.c", "src/include/op.h"]
command = ["cc", "-O2", "src/op.c"]
environment = { MODE = "release" }
outputs = { "lib/libop.so" = "libop.so", "usr/local/bin/op" = "tools/op" }
"""
SOURCES = {"src/op.c": b"int op;\n", "src/include/op.h": b"extern int op;\n"}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Return a recipe with a `[build]`; the compiler's one package lies in the same mirror."""
    folder = recipe_of(tmp_path / "recipe", "same")
    deb = make_deb(text_file("./usr/bin/cc", "x", 0o755), name="cc-1", version="1.2-3")
    (folder / "build-packages.lock").write_text(lock_text("package", {"cc.deb": ("cc-1", "1.2-3", deb)}))
    (folder / "mirror/cc.deb").write_bytes(deb)
    for name, data in SOURCES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    with (folder / "recipe.toml").open("a") as stream:
        stream.write(BUILD)
    return folder


def compiler(world: World) -> int:
    """Write what depends on the sources, the flags and the environment alone."""
    code = world.mounts["/eval/code"]
    text = (code / "src/op.c").read_text() + (code / "src/include/op.h").read_text()
    (world.outputs / "libop.so").write_text(text + " ".join(world.arguments) + world.environment["MODE"])
    (world.outputs / "tools").mkdir()
    (world.outputs / "tools/op").write_text("tool")
    return 0


def build(recipe: Path, out: Path, engine: FakeEngine) -> BuiltImage:
    workshop = Workshop(
        recipe.parent / "packages", lambda _: None, [str(recipe / "mirror")], connect=lambda: engine
    )
    return build_image(recipe, out, workshop)


def labels(built: BuiltImage) -> dict[str, str]:
    config = json.loads((built.layout / "blobs/sha256" / built.config[7:]).read_bytes())
    return dict(config["config"]["Labels"])


def members(built: BuiltImage, at: int) -> dict[str, tuple[int, bytes]]:
    import tarfile

    with tarfile.open(built.layout / "blobs/sha256" / built.diff_ids[at][7:]) as archive:
        return {
            member.name: (member.mode, archive.extractfile(member).read())  # type: ignore[union-attr]
            for member in archive
            if member.isreg()
        }


def test_what_was_compiled_is_the_last_layer(recipe: Path, tmp_path: Path) -> None:
    built = build(recipe, tmp_path / "out", FakeEngine({"cc": compiler}))
    files = members(built, 2)
    assert list(files) == ["usr/lib/libop.so", "usr/local/bin/op"]
    assert files["usr/lib/libop.so"] == (0o644, b"int op;\nextern int op;\ncc -O2 src/op.crelease")
    assert files["usr/local/bin/op"] == (0o755, b"tool")


def test_labels_say_what_compiled_what_from_what(recipe: Path, tmp_path: Path) -> None:
    found = labels(build(recipe, tmp_path / "out", FakeEngine({"cc": compiler})))
    assert found[f"{LABEL}.compiler"] == "cc-1 1.2-3"
    assert found[f"{LABEL}.builder"].startswith("sha256:")
    assert json.loads(found[f"{LABEL}.command"]) == ["cc", "-O2", "src/op.c"]
    assert json.loads(found[f"{LABEL}.environment"]) == {"MODE": "release"}
    assert json.loads(found[f"{LABEL}.sources"]) == {name: digest_of(data) for name, data in SOURCES.items()}
    assert json.loads(found[f"{LABEL}.outputs"])["usr/local/bin/op"] == digest_of(b"tool")


def test_the_container_of_a_build_that_died_is_found_and_removed(recipe: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")

    def die(_: World) -> int:
        raise KeyboardInterrupt

    engine = FakeEngine({"cc": die})
    workshop = Workshop(
        tmp_path / "packages",
        lambda _: None,
        [str(recipe / "mirror")],
        connect=lambda: engine,
        session=partial(session_in, home),
    )
    with pytest.raises(KeyboardInterrupt):
        build_image(recipe, tmp_path / "out", workshop)
    (task,) = engine.tasks
    assert task.labels[HOME_LABEL] == home.label
    engine.containers[task.name] = task.labels
    reap_dead(home, lambda: engine, thorough=True)
    assert engine.containers == {}


def test_the_compiler_runs_by_digest_without_network_on_read_only_sources(
    recipe: Path, tmp_path: Path
) -> None:
    modes: dict[str, int] = {}

    def look(world: World) -> int:
        root = world.mounts["/eval/code"]
        modes.update({path.name: path.stat().st_mode & 0o777 for path in (root, *root.rglob("*"))})
        return compiler(world)

    engine = FakeEngine({"cc": look})
    build(recipe, tmp_path / "out", engine)
    (task,) = engine.tasks
    assert task.image in engine.images
    assert task.profile.network == "none"
    assert task.environment["SOURCE_DATE_EPOCH"] == "1767225600"
    assert [mount.target for mount in task.mounts] == ["/eval/code"]
    assert modes == {"sources": 0o755, "src": 0o755, "include": 0o755, "op.c": 0o444, "op.h": 0o444}


@pytest.mark.parametrize(
    "change",
    [
        lambda recipe: edit(recipe / "recipe.toml", '"-O2"', '"-O3"'),
        lambda recipe: edit(recipe / "recipe.toml", "release", "debug"),
        lambda recipe: edit(recipe / "src/include/op.h", "int", "long"),
    ],
    ids=["flag", "environment", "header"],
)
def test_a_flag_a_variable_or_a_header_changes_the_digest(
    recipe: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    engine = FakeEngine({"cc": compiler})
    before = build(recipe, tmp_path / "one", engine)
    change(recipe)
    after = build(recipe, tmp_path / "one", engine)
    assert before.digest != after.digest
    assert before.diff_ids[:2] == after.diff_ids[:2]
    assert before.diff_ids[2] != after.diff_ids[2]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def failing(world: World) -> int:
    world.stderr.extend(b"op.c:1: error: expected ';'\n")
    return 1


def littering(world: World) -> int:
    (world.outputs / "op.d").write_text("litter")
    return compiler(world)


def lazy(world: World) -> int:
    (world.outputs / "libop.so").write_text("x")
    return 0


def greedy(world: World) -> int:
    raise MemoryError


@pytest.mark.parametrize(
    ("program", "code", "context"),
    [
        (failing, "build-command-failed", "op.c:1: error: expected ';'"),
        (greedy, "build-command-failed", "out of memory"),
        (littering, "build-outputs-differ", "not named: op.d"),
        (lazy, "build-outputs-differ", "missing: tools/op"),
    ],
)
def test_a_command_that_fails_or_leaves_other_files_is_exit_1(
    recipe: Path, tmp_path: Path, program: Program, code: str, context: str
) -> None:
    with pytest.raises(CheckFailedError) as caught:
        build(recipe, tmp_path / "out", FakeEngine({"cc": program}))
    assert caught.value.code == code
    assert context in (caught.value.context or "")
    assert not (tmp_path / "out").exists()


def test_a_compiler_that_is_not_there_is_said(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckFailedError) as caught:
        build(recipe, tmp_path / "out", FakeEngine({}))
    assert "could not be started" in (caught.value.context or "")


def test_without_an_engine_a_build_step_is_a_requirement_not_met(recipe: Path, tmp_path: Path) -> None:
    workshop = Workshop(recipe.parent / "packages", lambda _: None, [str(recipe / "mirror")])
    with pytest.raises(EvalctlError) as caught:
        build_image(recipe, tmp_path / "out", workshop)
    assert caught.value.exit_status == 6


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('"cc-1"', '"gcc"', "not in build-packages.lock"),
        ('"src/op.c", ', '"../op.c", ', "plain path"),
        ('"src/op.c", ', '"/etc/passwd", ', "plain path"),
        ('= "libop.so"', '= "../libop.so"', "plain relative path"),
        ('"tools/op" }', '"libop.so" }', "twice"),
        ("environment = { MODE", "enviroment = { MODE", "`enviroment` is not one of"),
        ("outputs = {", "outputs = {} # {", "must not be empty"),
        ("outputs =", "unused =", "is not one of"),
        ('etc/passwd" = ', 'etc/other" = { to = 1 }\n"etc/passwd" = ', 'nor { from = "FILE" }'),
    ],
)
def test_a_malformed_build_table_names_what_is_wrong(recipe: Path, old: str, new: str, what: str) -> None:
    edit(recipe / "recipe.toml", old, new)
    with pytest.raises(MalformedError) as caught:
        load_recipe(recipe)
    assert what in caught.value.message


def test_a_file_from_beside_the_recipe_counts_among_its_inputs(recipe: Path) -> None:
    edit(recipe / "recipe.toml", "[files]\n", '[files]\n"etc/op.h" = { from = "src/include/op.h" }\n')
    before: Any = load_recipe(recipe)
    assert before.files["etc/op.h"] == SOURCES["src/include/op.h"]
    edit(recipe / "src/include/op.h", "int", "long")
    assert load_recipe(recipe).inputs != before.inputs
