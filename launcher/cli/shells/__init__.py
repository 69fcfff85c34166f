"""What bash, zsh and fish complete: scripts written from the table of commands and their parameters."""
