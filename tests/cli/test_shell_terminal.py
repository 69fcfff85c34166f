"""`evalctl shell` in a real terminal, on a real engine."""

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path

import pytest
from docker import APIClient

from tests.cli.transcripts import CHECKOUT

pytestmark = [pytest.mark.engine, pytest.mark.image]

PROMPT = ">>> "


@dataclass
class Terminal:
    """A person at a terminal of 30 rows and 90 columns that `evalctl shell` was typed into."""

    process: subprocess.Popen[bytes]
    master: int
    home: Path
    seen: str = ""
    read_to: int = 0
    before: list[object] = field(default_factory=list)

    def expect(self, text: str, seconds: float = 60) -> str:
        """Read until `text` has come; return what came before it since the last time."""
        deadline = time.monotonic() + seconds
        while (at := self.seen.find(text, self.read_to)) < 0:
            assert time.monotonic() < deadline, f"waiting for {text!r}: {self.seen[self.read_to :]!r}"
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.master, 1 << 16).decode(errors="replace")
                except OSError:
                    assert text in self.seen[self.read_to :], self.seen
        found, self.read_to = self.seen[self.read_to : at], at + len(text)
        return found

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def ask(self, expression: str) -> str:
        """Type a line at the prompt; return what it printed."""
        self.type(f"{expression}\n")
        self.expect("\n")
        return self.expect(PROMPT).replace("\r", "").strip()

    def resize(self, rows: int, columns: int) -> None:
        ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def label(self) -> str:
        return (self.home / "id").read_text()

    def containers(self) -> list[str]:
        client = APIClient(timeout=30)
        try:
            found = client.containers(all=True, filters={"label": f"evalctl.home={self.label}"})
            return [str(item["Id"]) for item in found]
        finally:
            client.close()

    def wait_until_none(self, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while self.containers():
            assert time.monotonic() < deadline, "the container is still there"
            time.sleep(0.2)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """Return a terminal in which the image's Python waits for input."""
    if not (CHECKOUT / "images" / "eval-python" / "layout" / "index.json").is_file():
        pytest.skip("images/eval-python is not built: make setup")
    blueprint = tmp_path / "blueprint.toml"
    text = (CHECKOUT / "tests" / "cli" / "blueprints" / "hello.toml").read_text()
    text = text.replace('"digits-svm/', f'"{CHECKOUT}/blueprints/digits-svm/')
    blueprint.write_text(text.replace("oci:../", f"oci:{CHECKOUT}/"))
    master, slave = pty.openpty()
    ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 90, 0, 0))
    home = tmp_path / "home"
    before = termios.tcgetattr(slave)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.own_evalctl", "shell", str(blueprint)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=CHECKOUT,
        env=os.environ | {"EVALCTL_HOME": str(home), "TERM": "xterm"},
        start_new_session=True,
    )
    own = Terminal(process, master, home, before=before)
    try:
        own.expect(PROMPT)
        yield own
    finally:
        process.kill()
        process.wait(30)
        os.close(slave)
        if (home / "id").exists():
            own.wait_until_none()


def test_a_session_is_inside_the_sandbox(terminal: Terminal) -> None:
    assert terminal.ask("import os, socket, pathlib") == ""
    assert terminal.ask("print(6 * 7)") == "42"
    assert terminal.ask("print(os.getuid(), os.getcwd(), os.environ['EVALCTL_SEED'])") == "65532 /eval/code 0"
    assert "Read-only file system" in terminal.ask("pathlib.Path('/x').write_text('')")
    assert "unreachable" in terminal.ask("socket.create_connection(('192.0.2.1', 80), 5)")
    assert terminal.ask("print(*map(os.path.exists, ('/sys/class/net', '/eval/out')))") == "False True"
    assert terminal.ask("print(os.get_terminal_size())") == "os.terminal_size(columns=90, lines=30)"
    assert len(terminal.containers()) == 1


def test_a_new_size_of_the_window_passes(terminal: Terminal) -> None:
    terminal.ask("import os")
    terminal.resize(40, 120)
    time.sleep(1)
    assert "columns=120, lines=40" in terminal.ask("print(os.get_terminal_size())")


def test_ctrl_c_goes_inside_and_the_session_goes_on(terminal: Terminal) -> None:
    terminal.type("import time; time.sleep(100)\n")
    time.sleep(0.5)
    terminal.type("\x03")
    assert "KeyboardInterrupt" in terminal.expect(PROMPT, 20)
    assert terminal.ask("print('still here')") == "still here"


def test_leaving_says_how_it_ended_and_restores_the_terminal(terminal: Terminal) -> None:
    terminal.ask("import sys")
    terminal.type("sys.exit(7)\n")
    terminal.expect("ended with exit code 7; /eval/out was")
    assert terminal.process.wait(30) == 0
    assert terminal.containers() == []
    assert termios.tcgetattr(terminal.master) == terminal.before


def test_a_terminal_that_hangs_up_leaves_no_container(terminal: Terminal) -> None:
    assert len(terminal.containers()) == 1
    terminal.process.send_signal(signal.SIGHUP)
    terminal.process.wait(30)
    terminal.wait_until_none()


def test_a_killed_evalctl_leaves_no_container(terminal: Terminal) -> None:
    terminal.process.kill()
    terminal.process.wait(30)
    terminal.wait_until_none()


def test_where_the_guard_dies_too_the_next_command_reaps(terminal: Terminal) -> None:
    pid = terminal.process.pid
    guards = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(guards) == 1
    os.kill(int(guards[0]), signal.SIGKILL)
    terminal.process.kill()
    terminal.process.wait(30)
    assert len(terminal.containers()) == 1
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.own_evalctl", "doctor", "--json"],
        cwd=CHECKOUT,
        env=os.environ | {"EVALCTL_HOME": str(terminal.home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert re.search("removed those of 1 dead", done.stdout), done.stdout + done.stderr
    assert terminal.containers() == []
    assert list((terminal.home / "sessions").iterdir()) == []
