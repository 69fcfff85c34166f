"""Who can sign beside a key file in clear: passphrases, an agent, a command, an authority for the time."""
