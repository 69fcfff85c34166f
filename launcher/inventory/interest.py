"""Which files of an image tell of its packages, compilers and libraries, and how much of each is read."""

import re
from typing import Final, Literal

from msgspec import Struct

from launcher.environment.packages import Ecosystem

Handling = Literal["whole", "digest", "library", "name"]

MIB: Final = 1 << 20
# Parsing Python or JSON takes up to five hundred times its bytes.
_MODULE: Final = 256 << 10


class Interest(Struct, frozen=True):
    """What is kept of a file: its bytes up to `limit`, a digest, what a library says of itself, or its name.

    `ecosystem` is the list that is incomplete where the file could not be read; None where there is none.
    """

    handling: Handling
    limit: int
    ecosystem: Ecosystem | None = None


_DATABASES: Final[dict[str, Interest]] = {
    "var/lib/dpkg/status": Interest("whole", 64 * MIB, "deb"),
    **{
        f"{folder}/{name}": Interest("whole", 128 * MIB, "rpm")
        for folder in ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm")
        for name in ("rpmdb.sqlite", "Packages.db", "Packages")
    },
    "lib/apk/db/installed": Interest("whole", 32 * MIB, "apk"),
    "usr/lib/apk/db/installed": Interest("whole", 32 * MIB, "apk"),
}
DATABASES: Final = frozenset(_DATABASES)
WRITE_AHEAD: Final = "rpmdb.sqlite-wal"

_SYSTEM: Final = {
    **{name: Interest("whole", MIB) for name in ("etc/os-release", "usr/lib/os-release")},
    **{
        f"{folder}/{WRITE_AHEAD}": Interest("digest", 256 * MIB)
        for folder in ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm")
    },
}
# Decided by the last part of the path, so that most files cost one look into a table.
_BY_NAME: Final[dict[str, tuple[re.Pattern[str], Interest]]] = {
    "METADATA": (re.compile(r".+\.dist-info/METADATA"), Interest("whole", 2 * MIB, "pypi")),
    "PKG-INFO": (re.compile(r".+\.egg-info/PKG-INFO"), Interest("whole", 2 * MIB, "pypi")),
    "INSTALLER": (re.compile(r".+\.dist-info/INSTALLER"), Interest("whole", 4096)),
    "direct_url.json": (re.compile(r".+\.dist-info/direct_url\.json"), Interest("whole", 64 << 10)),
    "RECORD": (re.compile(r".+\.dist-info/RECORD"), Interest("digest", 64 * MIB)),
    "package.json": (
        re.compile(r"(?:.+/)?node_modules/(?:@[^/]+/)?[^/@][^/]*/package\.json"),
        Interest("whole", MIB, "npm"),
    ),
    ".package-lock.json": (
        re.compile(r"(?:.+/)?node_modules/\.package-lock\.json"),
        Interest("whole", 8 * MIB, "npm"),
    ),
    "copyright": (re.compile(r"usr/share/doc/[^/]+/copyright"), Interest("whole", MIB)),
    "__config__.py": (re.compile(r".+/(?:numpy|scipy)/__config__\.py"), Interest("whole", _MODULE)),
    "version.py": (re.compile(r".+/torch/version\.py"), Interest("whole", _MODULE)),
    "version.json": (re.compile(r"usr/local/cuda[^/]*/version\.json"), Interest("whole", MIB)),
}
_STATUS: Final = re.compile(r"var/lib/dpkg/status\.d/[^/]+(?<!\.md5sums)")
_CONDA: Final = re.compile(r"(?:.+/)?conda-meta/[^/]+\.json")
_EGG: Final = re.compile(r".+\.egg-info")
_SYSCONFIG: Final = re.compile(r".+/_sysconfigdata_[^/]*\.py")
_LIBRARY: Final = re.compile(
    r"(?:.+/)?lib(?:scipy_)?(?:openblas|blas|cblas|lapack|flexiblas|blis|atlas|mkl_rt|mkl_core|mkl_intel_thread"
    r"|mkl_gnu_thread|gomp|iomp5|omp|cublas|cudnn|nccl)[a-z0-9_]*(?:-[0-9a-f]+)?\.so(?:\.[0-9.]+)?"
)
_COMPILER: Final = re.compile(
    r"(?:.+/)?s?bin/(?:[a-z0-9_]+-[a-z0-9_-]+-)?(?:gcc|g\+\+|gfortran|clang|clang\+\+|rustc|nvcc|icx|icpx|tcc|zig|go)"
    r"(?:-[0-9.]+)?"
)


def interest_in(path: str) -> Interest | None:
    """Return what to keep of the regular file at `path` (relative, no `.` or `..`); None for most."""
    last = path.rpartition("/")[2]
    if (known := _BY_NAME.get(last)) is not None:
        return known[1] if known[0].fullmatch(path) else None
    if (fixed := _DATABASES.get(path) or _SYSTEM.get(path)) is not None:
        return fixed
    if last.startswith("lib") and ".so" in last:
        return Interest("library", 64 * MIB) if _LIBRARY.fullmatch(path) else None
    if path.startswith("var/lib/dpkg/status.d/"):
        return Interest("whole", MIB, "deb") if _STATUS.fullmatch(path) else None
    if last.endswith(".json"):
        return Interest("whole", 4 * MIB, "conda") if _CONDA.fullmatch(path) else None
    if last.endswith(".egg-info"):
        return Interest("whole", 2 * MIB, "pypi") if _EGG.fullmatch(path) else None
    if last.startswith("_sysconfigdata_"):
        return Interest("whole", _MODULE) if _SYSCONFIG.fullmatch(path) else None
    if "bin/" in path and _COMPILER.fullmatch(path):
        return Interest("name", 0)
    return None


def is_link_of_interest(path: str) -> bool:
    """Say whether a link at `path` stands for what is looked for: a file, or a folder of licences."""
    folder, _, _ = path.rpartition("/")
    return folder == "usr/share/doc" or interest_in(path) is not None
