"""Redact: make a new bundle of a verified one, with parts withheld and the rest tied to what was signed."""

from launcher.redact.making import Redactor, redact

__all__ = ["Redactor", "redact"]
