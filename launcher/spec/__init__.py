"""Frozen values for each noun: blueprint, lock, sample, result, bundle, statement."""
