"""The one way out of a sandbox with `network = "egress"`: a recording HTTP proxy with a list of hosts."""
