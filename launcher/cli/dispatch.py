"""Run one command through typer, importing nothing of the others."""

import importlib

from launcher.cli.commands import Command
from launcher.cli.output import fail
from launcher.errors import EvalctlError, InfrastructureError


def dispatch(command: Command, arguments: list[str]) -> int:
    """Parse `arguments`, call the command's function and return the exit code it returns."""
    as_json = "--json" in arguments
    try:
        return _call(command, arguments)
    except EvalctlError as error:
        return fail(error, as_json=as_json)
    except OSError as error:
        wrapped = InfrastructureError(
            f"the machine refused: {error.strerror or error}",
            code="operating-system",
            context=str(error.filename) if error.filename else None,
        )
        return fail(wrapped, as_json=as_json)
    except KeyboardInterrupt:
        interrupted = InfrastructureError(
            "interrupted", code="interrupted", hint="type the same command to start again"
        )
        return fail(interrupted, as_json=as_json)
    except Exception as error:  # noqa: BLE001 - whatever is not ours is a bug, and is said to be one
        return _bug(error, as_json=as_json)


def _call(command: Command, arguments: list[str]) -> int:
    import typer

    from launcher.cli.page import CommandPage

    module = importlib.import_module(f"launcher.cli.{command.module}")
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    settings = {"help_option_names": ["--help", "-h"]}
    app.command(cls=CommandPage, context_settings=settings)(getattr(module, command.function))
    program = " ".join(("evalctl", *command.words))
    try:
        parser = typer.main.get_command(app)
        # Not `main`: that turns an interrupt and a broken pipe into exit codes of its own.
        with parser.make_context(program, arguments) as context:
            result = parser.invoke(context)
    except typer.Exit as leave:
        return int(leave.exit_code)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        from launcher.cli.usage import usage_error

        raise usage_error(error, program) from error
    return result if isinstance(result, int) else 0


def _bug(error: Exception, *, as_json: bool) -> int:
    """Say that this is evalctl's fault; the traceback goes to a file, not over the screen."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="evalctl-bug-", suffix=".txt", delete=False) as stream:
        traceback.print_exception(error, file=stream)
    wrapped = InfrastructureError(
        "this is a bug in evalctl",
        code="bug",
        context=f"{type(error).__name__}: {error}",
        hint=f"report it with the details in `{stream.name}`",
    )
    return fail(wrapped, as_json=as_json)
