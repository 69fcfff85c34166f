"""Files that evalctl hands out: programs of their own, which use nothing of the launcher."""
