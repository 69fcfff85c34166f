"""Fetch one input by its digest: images, code, data."""
