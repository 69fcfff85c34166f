"""Show results to people: the terminal."""
