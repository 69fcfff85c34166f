"""`--runtime NAME`: the least isolation that a person asks for."""

from launcher.errors import MalformedError
from launcher.spec.blueprint import RUNTIMES, Runtime


def read_runtime(name: str | None) -> Runtime | None:
    """Return the runtime called `name`, None for None; raises `MalformedError`."""
    for runtime in RUNTIMES:
        if name == runtime:
            return runtime
    if name is None:
        return None
    raise MalformedError(
        f"there is no runtime `{name}`",
        code="unknown-runtime",
        context=f"expected {' or '.join(RUNTIMES)}",
        hint="see `evalctl launch --help`",
    )
