"""See whether this machine can launch: facts gathered at the edges, judged by small pure functions."""
