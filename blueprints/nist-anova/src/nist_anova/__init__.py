"""Compute the F statistics of one-way analyses of variance whose right answers are certified."""
