"""What a command does not need, it does not import."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.transcripts import CHECKOUT

PROGRAM = """
import sys
sys.argv = ["evalctl", *sys.argv[1:]]
before = set(sys.modules)
from launcher.cli.app import main
try:
    main()
finally:
    loaded = sorted(set(sys.modules) - before)
    import json
    print(json.dumps(loaded), file=sys.stderr)
"""
HEAVY = {"cryptography", "docker", "jinja2", "numpy", "requests", "rich", "scipy", "tenacity", "urllib3"}


def imported(home: Path, *arguments: str, code: int = 0) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=os.environ | {"EVALCTL_HOME": str(home)},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    modules: list[str] = json.loads(done.stderr.splitlines()[-1])
    return {*modules, *(module.split(".")[0] for module in modules)}


def test_the_version_imports_nothing_but_the_entry_point(tmp_path: Path) -> None:
    assert imported(tmp_path, "--version") == {"launcher", "launcher.cli", "launcher.cli.app"}


@pytest.mark.parametrize("arguments", [["--help"], ["key", "--help"], ["lanch"], ["--version", "--json"]])
def test_pages_of_several_commands_import_no_parser(tmp_path: Path, arguments: list[str]) -> None:
    code = 2 if arguments == ["lanch"] else 0
    assert not imported(tmp_path, *arguments, code=code) & (HEAVY | {"typer"})


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", "tests/cli/blueprints/hello.toml"],
        ["launch", "--help"],
        ["plan", "--help"],
        ["doctor", "--help"],
        ["shell", "--help"],
        ["report", "--help"],
        ["list"],
        ["metrics"],
        ["schema"],
        ["schema", "result"],
        ["pin", "blueprints/digits-svm/blueprint.toml", "--check"],
        ["completion", "bash"],
        ["init", "--help"],
        ["trust", "show"],
    ],
    ids=" ".join,
)
def test_what_needs_no_engine_imports_none(tmp_path: Path, arguments: list[str]) -> None:
    code = 3 if arguments[0] == "trust" else 0
    assert not imported(tmp_path, *arguments, code=code) & HEAVY


@pytest.mark.engine
@pytest.mark.image
def test_a_relaunch_and_a_look_import_no_engine_and_no_cryptography(tmp_path: Path) -> None:
    blueprint = tmp_path / "blueprints" / "hello.toml"
    blueprint.parent.mkdir()
    text = (CHECKOUT / "tests" / "cli" / "blueprints" / "hello.toml").read_text()
    text = text.replace('"digits-svm/', f'"{CHECKOUT}/blueprints/digits-svm/')
    blueprint.write_text(text.replace("oci:../", f"oci:{CHECKOUT}/"))
    home, bundle = tmp_path / "home", str(tmp_path / "bundle")
    assert "docker" in imported(home, "launch", str(blueprint), "--out", bundle)

    assert not imported(home, "launch", str(blueprint)) & HEAVY
    assert not imported(home, "show", bundle) & HEAVY
    assert imported(home, "verify", bundle) & HEAVY == {"cryptography"}
