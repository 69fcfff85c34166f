"""However a command ends that asks for a passphrase, the terminal shows again what is typed."""

import os
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

CODE = """import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from launcher.cli.app import run
sys.exit(run(sys.argv[1:]))"""
ENDINGS = {
    "a passphrase": (b"correct horse\n", 0),
    "an empty line": (b"\n", 2),
    "Ctrl-D": (b"\x04", 2),
    "Ctrl-C": (b"\x03", 4),
    "Ctrl-\\": (b"\x1c", -signal.SIGQUIT),
    "SIGTERM": (signal.SIGTERM, -signal.SIGTERM),
    "SIGHUP": (signal.SIGHUP, -signal.SIGHUP),
    "SIGKILL, which nobody can be told of": (signal.SIGKILL, -signal.SIGKILL),
}


def shows(terminal: int) -> bool:
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


def await_prompt(screen: int) -> None:
    seen = b""
    while not seen.endswith(b": "):
        seen += os.read(screen, 4096)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_terminal_shows_again_what_is_typed(tmp_path: Path, ending: str) -> None:
    screen, terminal = os.openpty()
    command = [sys.executable, "-c", CODE, "key", "new", tmp_path / "key", "--encrypt"]
    process = subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    )
    try:
        await_prompt(screen)
        assert not shows(terminal)
        how, code = ENDINGS[ending]
        if isinstance(how, bytes):
            os.write(screen, how)
            if code == 0:
                await_prompt(screen)
                os.write(screen, how)
        else:
            process.send_signal(how)
        assert process.wait(60) == code
        assert shows(terminal) == (how != signal.SIGKILL)
        assert sorted(path.name for path in tmp_path.iterdir()) == ([] if code else ["key", "key.pub"])
    finally:
        process.kill()
        process.wait()
        os.close(screen)
        os.close(terminal)
