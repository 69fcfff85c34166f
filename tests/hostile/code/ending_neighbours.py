"""Attacks on other containers of the same launch."""

import contextlib
import json
import os
import socket
import time
from pathlib import Path

from endings import SAMPLES, ending


@ending
def see_each_other() -> None:
    """Two replicates at once: each leaves a sign everywhere it can and looks for the other's."""
    seed = os.environ["EVALCTL_SEED"]
    server = socket.create_server(("0.0.0.0", 9000 + int(seed)))
    unnamed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    unnamed.bind(f"\0sign-{seed}")
    unnamed.listen()
    for place in ("/tmp", "/dev/shm", "/eval/out"):
        Path(place, f"sign-{seed}").write_text("x")
    time.sleep(2)
    seen = [place for place in ("/tmp", "/dev/shm", "/eval/out") if len(_signs(place)) > 1]
    for other in {"7", "8"} - {seed}:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", 9000 + int(other)), 1)
            seen.append("port")
        with contextlib.suppress(OSError):
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect(f"\0sign-{other}")
            seen.append("socket")
    commands = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    if sum(b"attack.py" in _command(path) for path in commands) > 2:
        seen.append("processes")
    Path("/eval/out", f"sign-{seed}").unlink()
    SAMPLES.write_text(json.dumps({"id": "honest", "prediction": " ".join(seen) or "honest"}) + "\n")
    server.close()


def _signs(place: str) -> list[str]:
    return [name for name in os.listdir(place) if name.startswith("sign-")]


def _command(path: Path) -> bytes:
    try:
        return (path / "cmdline").read_bytes()
    except OSError:
        return b""
