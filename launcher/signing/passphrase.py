"""Passphrases: typed on the terminal, or read from a descriptor; never an argument or the environment."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from launcher.errors import MalformedError

_MOST_BYTES: Final = 1024


def passphrases(descriptor: int | None) -> Callable[[str], bytes]:
    """Return what gives the passphrase of a key: the first line of `descriptor`, else the terminal asks.

    Both raise `MalformedError` where there is none to be had.
    """
    return _typed if descriptor is None else lambda name: _read_line(name, descriptor)


def new_passphrase(name: str, descriptor: int | None) -> bytes:
    """Return the passphrase for a key that is being made; on a terminal it is typed twice."""
    first = passphrases(descriptor)(name)
    if descriptor is None and _typed(name, "the same passphrase again") != first:
        raise _none(name, "the two that were typed differ", "type the same command again")
    return first


def _read_line(name: str, descriptor: int) -> bytes:
    line = b""
    try:
        while b"\n" not in line and len(line) <= _MOST_BYTES:
            # A byte at a time: what follows the line is somebody else's.
            byte = os.read(descriptor, 1)
            if not byte:
                break
            line += byte
    except OSError as error:
        hint = (
            f"open it on that descriptor: `--passphrase-fd {max(descriptor, 3)} {max(descriptor, 3)}< FILE`"
        )
        raise _none(name, f"descriptor {descriptor}: {error.strerror}", hint) from None
    return _usable(name, line.removesuffix(b"\n"))


def _typed(name: str, what: str = "the passphrase") -> bytes:
    """Ask on the terminal that this process belongs to, wherever its streams lead."""
    import getpass

    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        hint = "give it on a descriptor: `--passphrase-fd 3 3< FILE`, or use a key in ssh-agent"
        raise _none(name, "there is no terminal to ask on", hint) from None
    text = ""
    try:
        with _restored(terminal), suppress(EOFError):
            text = getpass.getpass(f"{what} of `{name}`: ")
    finally:
        os.close(terminal)
    return _usable(name, text.encode(errors="surrogateescape"))


@contextmanager
def _restored(terminal: int) -> Iterator[None]:
    """Have the terminal as it was, whatever signal ends the process while the passphrase is typed unseen."""
    import signal
    import termios

    before = termios.tcgetattr(terminal)
    # Ctrl-C is an exception, behind which `getpass` restores the terminal itself.
    found = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM)}
    handlers = {number: handler for number, handler in found.items() if handler not in (signal.SIG_IGN, None)}

    def restore(number: int, _: object) -> None:
        termios.tcsetattr(terminal, termios.TCSANOW, before)
        signal.signal(number, handlers[signal.Signals(number)])
        os.kill(os.getpid(), number)

    for number in handlers:
        signal.signal(number, restore)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _usable(name: str, passphrase: bytes) -> bytes:
    if not passphrase:
        raise _none(name, "it is empty", "type it at the prompt, or give it with `--passphrase-fd N`")
    if len(passphrase) > _MOST_BYTES:
        raise _none(name, f"it is longer than {_MOST_BYTES} bytes", "give the passphrase alone, on one line")
    return passphrase


def _none(name: str, context: str, hint: str) -> MalformedError:
    return MalformedError(
        f"the passphrase of `{name}` is not to be had", code="no-passphrase", context=context, hint=hint
    )
