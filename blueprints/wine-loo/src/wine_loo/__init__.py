"""Classify wines by leave-one-out, with three textbook classifiers."""
