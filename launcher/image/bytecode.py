"""Compile an image's Python sources with the image's own interpreter, the same bytes on every host.

The files are `.pyc` with unchecked hashes (PEP 552): no time of a source is in them, none is looked at.
What marshal writes depends on which strings an interpreter has seen before, so sources are compiled in a
fixed number of shards, each by one fresh interpreter in a fixed order, however many processors there are.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from launcher.errors import InfrastructureError, RequirementError
from launcher.image.recipe import Python
from launcher.image.tree import Node, Spool, Tree

_SHARDS = 16
_LIMIT_S = 1800
_LOADERS = {"linux/amd64": ("lib64/ld-linux-x86-64.so.2", "x86_64-linux-gnu", "x86_64")}
_UNCHECKED_HASH = b"\x01\0\0\0"

_COMPILE = """
import importlib.util, py_compile, sys
root = sys.argv[1]
for line in sys.stdin:
    path = line.rstrip("\\n")
    try:
        py_compile.compile(
            root + path,
            cfile=importlib.util.cache_from_source(root + path),
            dfile=path,
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except (py_compile.PyCompileError, SyntaxError, ValueError):
        pass
"""


def refuse_foreign_platform(platform: str) -> None:
    """Raise `RequirementError` where this machine cannot run the interpreter of an image for `platform`."""
    machine = os.uname()
    if platform not in _LOADERS:
        raise RequirementError(
            f"images for `{platform}` cannot be built",
            code="platform-unsupported",
            context="expected linux/amd64",
        )
    if machine.sysname != "Linux" or machine.machine != _LOADERS[platform][2]:
        raise RequirementError(
            f"an image for `{platform}` cannot be built here",
            code="platform-unsupported",
            context=f"its own interpreter compiles its bytecode; this is {machine.sysname} {machine.machine}",
            hint="build on a machine of that platform and copy the layout",
        )


class Compiler:
    """Run the interpreter of `base`, unpacked in `folder`, over the sources of one layer after another."""

    def __init__(self, base: Tree, spool: Spool, python: Python, platform: str, folder: Path) -> None:
        self._spool, self._python, self._folder = spool, python, folder
        self._command = _command(base, python, platform, folder)
        _unpack(base, spool, folder, base.nodes)

    def add_bytecode(self, layer: Tree) -> int:
        """Add the `.pyc` file of each source in `layer` that compiles; return how many there are."""
        roots = tuple(
            folder.strip("/") + "/" for folder in (self._python.standard_library, self._python.site_packages)
        )
        sources = sorted(
            path
            for path, node in layer.nodes.items()
            if node.kind == "file" and path.endswith(".py") and path.startswith(roots) and "\n" not in path
        )
        _unpack(layer, self._spool, self._folder, {path: layer.nodes[path] for path in sources})
        self._compile(sources)
        tag = "cpython-" + self._python.version.replace(".", "")
        return sum(self._collect(layer, path, tag) for path in sources)

    def _collect(self, layer: Tree, source: str, tag: str) -> bool:
        parent, _, name = source.rpartition("/")
        path = f"{parent}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc"
        try:
            data = (self._folder / path).read_bytes()
        except FileNotFoundError:
            return False
        if data[4:8] != _UNCHECKED_HASH:
            raise _failed(f"`{path}` is not bytecode with an unchecked hash")
        layer.add_file(path, self._spool.store(data))
        return True

    def _compile(self, sources: list[str]) -> None:
        from concurrent.futures import ThreadPoolExecutor

        shards = [sources[first::_SHARDS] for first in range(_SHARDS)]
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            list(pool.map(self._compile_shard, filter(None, shards)))

    def _compile_shard(self, sources: list[str]) -> None:
        import subprocess

        environment = {
            "PYTHONHOME": str(self._folder / "usr"),
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
        }
        try:
            done = subprocess.run(
                self._command,
                input="".join(f"/{path}\n" for path in sources).encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd="/",
                timeout=_LIMIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _failed(f"the image's interpreter did not run: {error}") from error
        if done.returncode != 0:
            raise _failed(
                f"the image's interpreter failed: {done.stdout[-500:].decode(errors='replace').strip()}"
            )


def _command(base: Tree, python: Python, platform: str, folder: Path) -> list[str]:
    """Return the command that runs the image's interpreter through the image's own loader and libraries."""
    loader, triplet, _ = _LOADERS[platform]
    places = [base.resolve(path) for path in (loader, python.interpreter.lstrip("/"))]
    found = [place[0] for place in places if place is not None and place[1].kind == "file"]
    if len(found) != 2:
        raise _failed(f"the packages hold no loader `/{loader}` or no `{python.interpreter}`")
    libraries = f"{folder}/usr/lib/{triplet}:{folder}/usr/lib"
    options = ["-s", "-S", "-P", "-B", "-X", "utf8", "-W", "ignore"]
    run = [f"{folder}/{found[0]}", "--library-path", libraries, f"{folder}/{found[1]}"]
    return [*run, *options, "-c", _COMPILE, str(folder)]


def _unpack(tree: Tree, spool: Spool, folder: Path, nodes: Mapping[str, Node]) -> None:
    """Write regular files below `folder`; a link to a file becomes a hard link, other links are left out."""
    links = []
    for path, node in nodes.items():
        target = folder / path
        if node.extent is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(spool.read(node.extent))
            target.chmod(node.mode)
        elif node.kind == "symlink" and (resolved := tree.resolve(path)) and resolved[1].kind == "file":
            links.append((target, folder / resolved[0]))
    for target, existing in links:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(existing)


def _failed(message: str) -> InfrastructureError:
    return InfrastructureError(message, code="image-build-failed")
