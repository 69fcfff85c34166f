"""Readers of what other evaluation harnesses leave: their logs as evalctl's samples."""
