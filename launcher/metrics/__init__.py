"""Versioned metric definitions, intervals and how they are computed from samples."""
