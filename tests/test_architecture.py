"""The folder listing is the architecture: a module imports only rows below its own."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "launcher"

# Highest first. Modules of one row may import within their own package, never another member of the row.
ROWS = (
    ("cli",),
    ("reproduce", "cosign", "attach", "plan", "exchange", "redact"),
    ("launch", "verify", "doctor", "shell"),
    ("runs",),
    ("resolve", "authoring"),
    ("report",),
    ("image",),
    ("engines",),
    ("egress",),
    ("inventory",),
    ("signing",),
    ("sources",),
    ("environment",),
    ("ledger",),
    ("store",),
    ("metrics", "harness"),
    ("trust",),
    ("spec",),
    ("canonical",),
    ("digest", "archives"),
    ("errors",),
    ("__init__",),
    ("exports",),
)
RANK = {name: rank for rank, row in enumerate(ROWS) for name in row}
MODULES = sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and name of every import in the module, lazy ones included."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} is a relative import"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def launcher_rooms(path: Path) -> Iterator[tuple[int, str]]:
    for line, name in imported(path):
        parts = name.split(".")
        if parts[0] == "launcher":
            yield line, parts[1] if parts[1] in RANK else "__init__"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_rows_below_its_own(path: Path) -> None:
    own = room(path)
    assert own in RANK, f"`{own}` has no row in the architecture"
    for line, other in launcher_rooms(path):
        allowed = other == own or RANK[other] > RANK[own]
        assert allowed, f"{path.relative_to(ROOT)}:{line}: `{own}` may not import `{other}`"


def test_there_are_no_import_cycles_between_modules() -> None:
    graph = {module_name(path): set(module_imports(path)) for path in MODULES}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module not in done:
            for other in graph.get(module, ()):
                visit(other, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def module_name(path: Path) -> str:
    return ".".join(("launcher", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


NAMES = {module_name(path) for path in MODULES}


def module_imports(path: Path) -> Iterator[str]:
    """Yield launcher modules imported when this one is loaded (not the lazy ones)."""
    for node in tree_of(path).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("launcher"):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                target = full if full in NAMES else node.module
                if target != "launcher":
                    yield target


def test_only_the_entry_point_exits() -> None:
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Attribute) and node.attr in ("exit", "_exit"):
                assert path.relative_to(ROOT).as_posix() == "cli/app.py", f"{path}:{node.lineno}"


def test_the_core_has_no_clock_randomness_network_or_environment() -> None:
    forbidden = {"time", "random", "secrets", "socket", "urllib", "http", "requests", "docker", "subprocess"}
    for path in MODULES:
        if room(path) in ("metrics", "harness", "spec"):
            names = {name.split(".")[0] for _, name in imported(path)}
            assert not names & forbidden, f"{path}: {names & forbidden}"
            assert "os.environ" not in path.read_text(), path


def test_images_share_no_python_with_the_launcher() -> None:
    for path in ROOT.parent.joinpath("images").rglob("*.py"):
        assert not any(name.split(".")[0] == "launcher" for _, name in imported(path)), path


PAGE = (ROOT.parent / "docs" / "architecture.md").read_text()


def test_the_page_about_the_architecture_has_these_rows_and_no_others() -> None:
    listed = re.findall(r"(?m)^\| (\d+) \| `(\w+)(?:/|\.py)` \|", PAGE)
    told = tuple(tuple(name for row, name in listed if int(row) == rank + 1) for rank in range(len(ROWS)))
    assert tuple(map(sorted, told)) == tuple(map(sorted, ROWS))


def test_every_row_of_the_architecture_is_there() -> None:
    assert set(RANK) == {room(path) for path in MODULES}


NAMED = re.compile(r"`((?:[a-z_]+/)+[a-z_]+\.py)(?::(\w+))?`")
DOCUMENTS = [*ROOT.parent.glob("*.md"), *ROOT.parent.glob("docs/**/*.md")]


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_every_module_and_function_that_a_document_names_is_there(page: Path) -> None:
    for name, function in NAMED.findall(page.read_text()):
        path = next((base / name for base in (ROOT, ROOT.parent) if (base / name).is_file()), None)
        assert path is not None, name
        assert not function or function in defined(path), f"{name}:{function}"


def defined(path: Path) -> set[str]:
    return {node.name for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
