"""One attempt: tasks for the engine, replicates side by side, scores, and the bundle put together."""
