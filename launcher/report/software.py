"""What an image computes with, in a few words: packages, BLAS, compilers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from launcher.report.text import cut

_WORDS: Final = {"deb": "Debian", "rpm": "RPM", "apk": "Alpine", "pypi": "Python"}
_MOST: Final = 3
_LONGEST: Final = 100


def software_text(facts: Mapping[str, Any]) -> str:
    """Return packages, BLAS and compilers in one line; empty where the layers were not read."""
    return "; ".join(part for part in (packages_text(facts), blas_text(facts), compilers_text(facts)) if part)


def packages_text(facts: Mapping[str, Any]) -> str:
    """Return how many packages the image has of each ecosystem."""
    counts = facts.get("image.packages")
    if not isinstance(counts, Mapping) or not counts:
        return ""
    counted = ", ".join(f"{count} {_WORDS.get(name, name)}" for name, count in sorted(counts.items()))
    return f"{counted} packages"


def blas_text(facts: Mapping[str, Any]) -> str:
    """Return the BLAS that NumPy was built with, or the libraries that say what they are."""
    for build in _tables(facts.get("image.numpy-build")):
        blas = _table(_table(build.get("Build Dependencies")).get("blas"))
        if blas.get("name"):
            return cut(f"NumPy with {blas['name']} {blas.get('version', '')}".strip(), _LONGEST)
    stated = {
        str(each["states"]) for each in _tables(facts.get("image.numeric-libraries")) if "states" in each
    }
    return cut(", ".join(sorted(stated)[:_MOST]), _LONGEST)


def compilers_text(facts: Mapping[str, Any]) -> str:
    """Return the compilers in the image, those that a package manager knows."""
    named = [f"{each.get('name')} {each.get('version')}" for each in _tables(facts.get("image.compilers"))]
    more = f" and {len(named) - _MOST} more" if len(named) > _MOST else ""
    return cut(f"compilers {', '.join(named[:_MOST])}{more}", 2 * _LONGEST) if named else ""


def runtime_text(facts: Mapping[str, Any]) -> str:
    """Return the versions of what the engine is made of, and of gVisor where it ran the evaluation."""
    return ", ".join(_runtimes(facts))


def _runtimes(facts: Mapping[str, Any]) -> Iterator[str]:
    parts = _table(facts.get("engine.components"))
    for name in ("containerd", "runc", "crun"):
        if parts.get(name):
            yield cut(f"{name} {parts[name]}", _LONGEST)
    if facts.get("host.runsc"):
        yield cut(f"runsc {facts['host.runsc']}", _LONGEST)


def _tables(value: Any) -> Sequence[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list | tuple) else []


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
