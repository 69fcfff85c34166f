"""Facts about what an image computes with: compilers, Python, NumPy, PyTorch, BLAS; read, never run.

Python files are parsed, not executed: only literals in them count.
"""

import ast
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from launcher.environment.facts import Fact
from launcher.environment.packages import Package
from launcher.inventory.files import Files, Placed
from launcher.inventory.texts import decoded, json_table, tidy

_COMPILER: Final = re.compile(
    r"(?:(?:gcc|g\+\+|gfortran|clang|flang|rustc|golang|ldc|tcc|ghc)(?:-?[0-9.]+)?(?:-go)?"
    r"|(?:gcc|gxx|gfortran|clang|clangxx)_(?:impl_)?linux-64|gcc-c\+\+|rust|cuda-nvcc[0-9-]*|nvidia-cuda-nvcc(?:-cu\d+)?"
    r"|ziglang|llvmlite|triton)"
)
_SYSCONFIG: Final = re.compile(r".+/_sysconfigdata_[^/]*\.py")
_LANGUAGE: Final = re.compile(r".+/(?P<name>numpy|scipy)/__config__\.py")
_OPTIONS: Final = ("CC", "CXX", "CFLAGS", "CONFIG_ARGS", "LDFLAGS", "OPT", "PY_CFLAGS", "VERSION")
_TORCH: Final = ("__version__", "cuda", "debug", "git_version", "hip", "xpu")
_MOST: Final = 200
_LONGEST: Final = 2000
_DEEPEST: Final = 4
# What parsing costs: memory grows with the bytes, time with the square of the fields of an f-string.
_MOST_BRACES: Final = 4000
_MOST_MODULES: Final = 50


def software_facts(files: Files, packages: Iterable[Package]) -> Iterator[Fact]:
    """Yield what of it the image has, each fact with the files that it is from."""
    if compilers := [_named(package) for package in packages if _COMPILER.fullmatch(package.name)]:
        yield Fact("image.compilers", compilers[:_MOST], "image")
    if programs := [path for path, _ in files.matching(lambda path: _handled(files, path, "name"))]:
        yield Fact("image.compiler-programs", programs[:_MOST], "image")
    if libraries := list(_libraries(files)):
        yield Fact("image.numeric-libraries", libraries[:_MOST], "image")
    if found := [{"path": path, **options} for path, options in _python_options(files)]:
        yield Fact("image.python-build", found[:_MOST], "image")
    for name in ("numpy", "scipy"):
        if built := list(_array_builds(files, name)):
            yield Fact(f"image.{name}-build", built[:_MOST], "image")
    if torch := list(_torch(files)):
        yield Fact("image.torch-build", torch[:_MOST], "image")
    if cuda := list(_cuda(files)):
        yield Fact("image.cuda", cuda[:_MOST], "image")


def _named(package: Package) -> dict[str, str]:
    return {"name": package.name, "version": package.version, "ecosystem": package.ecosystem}


def _handled(files: Files, path: str, handling: str) -> bool:
    placed = files.placed.get(path)
    return placed is not None and placed.held.interest.handling == handling


def _libraries(files: Files) -> Iterator[dict[str, str]]:
    for path, placed in files.matching(lambda path: _handled(files, path, "library")):
        yield {"path": path, **{key: tidy(value) for key, value in placed.held.said.items()}}


def _python_options(files: Files) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield how each Python was built, from the dictionary literal in its `_sysconfigdata` module."""
    for path, placed in _modules(files, lambda path: _SYSCONFIG.fullmatch(path) is not None):
        table = _assigned(placed.held.data).get("build_time_vars")
        if isinstance(table, dict):
            yield (
                path,
                {key: tidy(table[key], _LONGEST) for key in _OPTIONS if isinstance(table.get(key), str)},
            )


def _array_builds(files: Files, name: str) -> Iterator[dict[str, Any]]:
    """Yield what numpy or scipy was built with, from the literals of its `__config__` module."""
    for path, placed in _modules(files, lambda path: _is_config(path, name)):
        table = _assigned(placed.held.data).get("CONFIG")
        if isinstance(table, dict):
            parts = ("Build Dependencies", "Compilers", "Machine Information", "SIMD Extensions")
            yield {"path": path, **{part: _bounded(table[part]) for part in parts if part in table}}


def _is_config(path: str, name: str) -> bool:
    found = _LANGUAGE.fullmatch(path)
    return found is not None and found["name"] == name


def _torch(files: Files) -> Iterator[dict[str, Any]]:
    for path, placed in _modules(files, lambda path: path.endswith("/torch/version.py")):
        table = _assigned(placed.held.data)
        yield {"path": path, **{key.strip("_"): _bounded(table[key]) for key in _TORCH if key in table}}


def _cuda(files: Files) -> Iterator[dict[str, str]]:
    for path, placed in files.matching(lambda path: path.endswith("/version.json") and "cuda" in path):
        table = (json_table(placed.held.data) or {}).get("cuda")
        if isinstance(table, Mapping):
            yield {"path": path, "version": tidy(table.get("version"))}


def _modules(files: Files, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Placed]]:
    """Yield the Python modules that are parsed: no more than any honest image has."""
    return islice(files.matching(wanted), _MOST_MODULES)


def _assigned(data: bytes) -> dict[str, Any]:
    """Return the literals that a Python module assigns to names at its top, and nothing else."""
    if data.count(b"{") > _MOST_BRACES:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = ast.parse(decoded(data))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[str, Any] = {}
    for node in module.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if len(targets) == 1 and isinstance(targets[0], ast.Name) and value is not None:
            found[targets[0].id] = _literal(value)
    return found


def _literal(node: ast.expr, depth: int = 0) -> Any:
    """Return what an expression of literals stands for; None for any part that would have to be computed.

    Numpy writes `CONFIG = _cleanup({...})`: such a call's one argument counts.
    """
    if depth > _DEEPEST + 2:
        return None
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str | int | bool) else None
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        return _literal(node.args[0], depth + 1)
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(item, depth + 1) for item in node.elts[:_MOST]]
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {
            str(key.value): _literal(value, depth + 1)
            for key, value in pairs
            if isinstance(key, ast.Constant)
        }
    return None


def _bounded(value: Any, depth: int = 0) -> Any:
    """Return JSON of bounded size: texts tidy, integers as numbers hold them, empty parts left out."""
    if isinstance(value, str):
        return tidy(value, _LONGEST)
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) < 1 << 53):
        return value
    if depth >= _DEEPEST:
        return None
    if isinstance(value, list):
        return [_bounded(item, depth + 1) for item in value[:_MOST]]
    if isinstance(value, dict):
        kept = {tidy(key): _bounded(item, depth + 1) for key, item in list(value.items())[:_MOST]}
        return {
            key: item
            for key, item in kept.items()
            if item not in (None, "", [], {}) and not key.startswith("$")
        }
    return None
