"""Build an OCI image layout from a recipe and its locks, the same bytes each time."""
