"""Observe the host, the engine and the image; each fact says where it came from."""
