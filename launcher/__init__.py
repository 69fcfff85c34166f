"""Launch machine-learning evaluations that strangers can check and get again."""

__version__ = "0.1.0"
