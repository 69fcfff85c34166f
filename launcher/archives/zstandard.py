"""Zstandard of Python's own, or its backport where Python is older than 3.14."""

import sys
from typing import Any


def zstandard() -> Any:
    """Return the module; it is imported here, because few runs meet such a file."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
