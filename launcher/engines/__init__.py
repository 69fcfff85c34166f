"""Start, watch and stop one sandboxed container."""
