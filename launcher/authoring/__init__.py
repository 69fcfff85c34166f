"""From nothing to a pinned blueprint: starting points, and digests filled in."""
