"""The page that `evalctl COMMAND --help` prints."""

from typing import Any

from typer.core import TyperCommand


class CommandPage(TyperCommand):
    """A command whose usage line names a required argument bare: `FILE`, not `{FILE}`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words after the program's name."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]
