"""The command line: one module per command; reads arguments, calls one function, renders."""
