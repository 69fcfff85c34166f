"""Verify a bundle offline: its files, its signatures, the policy, and every number from the samples again."""

from launcher.verify.contents import Contents, beyond_this_version, load_contents
from launcher.verify.verdict import Verification, verify

__all__ = ["Contents", "Verification", "beyond_this_version", "load_contents", "verify"]
