"""Every way to forge a bundle, and a few honest ones: `cases()` gives them all, each a folder to be made."""

from tests.bundles.corpus import cases

__all__ = ["cases"]
