"""Classify hand-written digits with a pinned support-vector machine."""
