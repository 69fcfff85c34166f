"""Ctrl-C at a slow moment: one line, exit 4."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.transcripts import CHECKOUT

HELLO = CHECKOUT / "tests" / "cli" / "blueprints" / "hello.toml"
NEVER = """
[[data]]
name = "never"
uri = "http://127.0.0.1:{port}/never"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
"""


@pytest.mark.image
def test_an_interrupt_while_an_input_is_fetched_says_so_in_one_line(tmp_path: Path) -> None:
    if not (CHECKOUT / "images" / "eval-python" / "layout" / "index.json").is_file():
        pytest.skip("images/eval-python is not built: make setup")
    with socket.create_server(("127.0.0.1", 0)) as server:
        blueprint = tmp_path / "blueprint.toml"
        text = HELLO.read_text().replace('"digits-svm/', f'"{CHECKOUT}/blueprints/digits-svm/')
        text = text.replace("oci:../", f"oci:{CHECKOUT}/")
        blueprint.write_text(text + NEVER.format(port=server.getsockname()[1]))
        # A shell without job control starts what runs in its background deaf to this signal.
        listening = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
        command = f"{listening}; from launcher.cli.app import main; sys.exit(main())"
        process = subprocess.Popen(
            [sys.executable, "-c", command, "resolve", str(blueprint)],
            env=os.environ | {"EVALCTL_HOME": str(tmp_path / "home")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        server.settimeout(60)
        server.accept()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (4, "")
    said = [line for line in stderr.splitlines() if not re.match(r"\[ *[0-9.]+s\]|made|this machine", line)]
    assert said == ["error: interrupted", "  hint: type the same command to start again"]
