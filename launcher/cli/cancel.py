"""`evalctl cancel`."""

import time
from typing import Annotated

import typer

from launcher.cli.connect import connect
from launcher.cli.options import Json
from launcher.cli.output import print_json, say
from launcher.errors import CheckFailedError, InfrastructureError
from launcher.runs.leftovers import reap_left_overs
from launcher.store.home import Home, find_home
from launcher.store.journal import read_state
from launcher.store.liveness import is_alive
from launcher.store.naming import Found, attempt_called
from launcher.store.processes import interrupt

AttemptName = Annotated[
    str,
    typer.Argument(
        metavar="ATTEMPT", help="The start of its id or its lock's digest, or its name, as `status` shows."
    ),
]
_GLANCE_SECONDS = 0.1


def cancel(
    attempt: AttemptName,
    wait: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, show_default=False, help="How long to wait for its end; default: 60."
        ),
    ] = 60.0,
    as_json: Json = False,
) -> int:
    """Stop a running attempt as Ctrl-C does.

    Its launcher ends the containers and signs a bundle that says `interrupted`; the next launch begins anew.
    Only the process that holds the attempt is asked. Exit codes: 0 it has ended, 1 it does not run, 4 it
    did not end in time.
    """
    home = find_home()
    reap_left_overs(home, connect, say)
    found = attempt_called(home, attempt)
    process = found.state.get("process")
    if not (found.alive and isinstance(process, dict) and interrupt(process)):
        raise CheckFailedError(
            f"the attempt `{attempt}` does not run",
            code="not-running",
            context=f"it is {found.state.get('outcome', 'unfinished')}",
            hint="see what runs with `evalctl status`",
        )
    _await_end(home, found, wait)
    state = read_state(found.folder)
    if as_json:
        print_json({key: state.get(key) for key in ("invocation_id", "lock", "attempt", "outcome", "bundle")})
    else:
        ended = state.get("failure") or state.get("outcome")
        say(f"attempt {state.get('attempt')} at its lock was stopped: {ended}")
        print(state.get("bundle") or "none")
    return 0


def _await_end(home: Home, found: Found, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while is_alive(home, str(found.state["invocation_id"])):
        if time.monotonic() >= deadline:
            raise InfrastructureError(
                "the attempt was asked to stop and has not ended yet",
                code="still-running",
                hint="look again with `evalctl status`",
            )
        time.sleep(_GLANCE_SECONDS)
