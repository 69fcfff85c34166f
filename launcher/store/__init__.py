"""The home directory: cache, attempts, bundles."""
