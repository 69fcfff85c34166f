"""Redact: make a new bundle of a verified one, with parts withheld and the rest tied to what was signed."""

from launcher.redact.making import Redacted, Redactor, redact

__all__ = ["Redacted", "Redactor", "redact"]
