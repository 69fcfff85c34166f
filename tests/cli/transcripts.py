"""Transcripts: what a person types, and what comes back. They test the command line and document it.

A transcript is a text file. Lines that begin with `#` are remarks; `# needs: engine` names a pytest mark.
Each command stands behind `$ `; what follows is its standard output, then `stderr:` and its standard error
where there is any, then `exit N` where the code is not 0. A blank line ends it; blank lines of the output
itself are written as `.`.

The commands of one transcript run one after the other in a folder of their own that holds `blueprints/` (what
the checkout and this folder have), `malformed/` (the bad ones of tests/spec) and `images/`, with a home of
its own. What changes from run to run or from machine to machine is replaced, by `RULES` and nothing else, on
the way into the file.
"""

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from launcher import __version__
from launcher.cli.app import run

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
MALFORMED = CHECKOUT / "tests" / "spec" / "blueprints"
FILES = sorted(HERE.glob("*.txt"))

RULES = (
    (r"SHA256:[A-Za-z0-9+/]{43}", "SHA256:<fingerprint>"),
    (r"\+[0-9a-f]{8}\+[AB][A-Za-z0-9+/]{43}", "+<note key>"),
    (r"(?m)^(\N{EM DASH} \S+) [A-Za-z0-9+/]{90,}=*$", r"\1 <signature>"),
    (r"(?m)^[A-Za-z0-9+/]{43}=$", "<hash>"),
    (r"\bAAAA[A-Za-z0-9+/]{40,}=*", "<public key>"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uuid>"),
    (r"(?<![.\w])[0-9a-f]{12,64}(-dirty)?\b", "<hex>"),
    (r"\.[0-9a-f]{12,64}(?=\.sigstore|\.\.\.)", ".<hex>"),
    (r"\[ *[0-9]+\.[0-9]s\]", "[<seconds>]"),
    (r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+Z?(\+00:00)?| [0-9]{2}:[0-9]{2}(?=  | UTC))?", "<time>"),
    (rf"((?:^|\n)evalctl |launcher evalctl |^\{{\"version\": \"){re.escape(__version__)}", r"\1<version>"),
    (r"((?:^|\n)(?:engine|machine)  +)[^\n]*", r"\1<as observed>"),
    (r"(expected [0-9]+(?: bytes)?, got )[0-9]+\b", r"\1<as observed>"),
    (r"((?:identical|equivalent|diverged|inconclusive), on )[^\n]*(?:\n {11}[^\n]*)*", r"\1<as observed>"),
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A command with the remarks above it, and what came back as the file shows it."""

    remarks: str
    command: str
    answer: str

    def __str__(self) -> str:
        return f"{self.remarks}$ {self.command}\n{self.answer}"


def needs(path: Path) -> list[str]:
    """Return the pytest marks that the transcript names."""
    return [mark for line in re.findall(r"(?m)^# needs: (.*)$", path.read_text()) for mark in line.split()]


def read(path: Path) -> list[Exchange]:
    """Return the exchanges of the transcript."""
    parts = re.split(r"(?m)^((?:#.*\n|\n)*)\$ (.*)\n", path.read_text() + "\n")
    assert not parts[0], f"{path.name} does not begin with a remark or a command"
    triples = zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
    return [Exchange(remarks.lstrip("\n"), command, _body(answer)) for remarks, command, answer in triples]


def _body(answer: str) -> str:
    text = answer.strip("\n")
    return f"{text}\n" if text else ""


def write(exchanges: list[Exchange]) -> str:
    """Return the text of a transcript."""
    return "\n".join(map(str, exchanges))


def replay(exchanges: list[Exchange], folder: Path) -> Iterator[Exchange]:
    """Type every command in `folder` and yield what came back."""
    places = _furnish(folder)
    for exchange in exchanges:
        status, stdout, stderr = _type(exchange.command, folder)
        answer = _shown(stdout)
        answer += f"stderr:\n{_shown(stderr)}" if stderr else ""
        answer += f"exit {status}\n" if status else ""
        yield Exchange(exchange.remarks, exchange.command, settled(answer, places))


def _furnish(folder: Path) -> list[tuple[str, str]]:
    blueprints = folder / "work" / "blueprints"
    shutil.copytree(
        CHECKOUT / "blueprints", blueprints, ignore=shutil.ignore_patterns("__pycache__", "*.lock.*")
    )
    shutil.copytree(HERE / "blueprints", blueprints, dirs_exist_ok=True)
    shutil.copytree(
        MALFORMED, folder / "work" / "malformed", ignore=shutil.ignore_patterns("*.txt", "*_good*")
    )
    (folder / "work" / "images").symlink_to(CHECKOUT / "images")
    (folder / "work" / "logs").symlink_to(CHECKOUT / "tests" / "harness" / "logs")
    return [(str(folder / "home"), "<home>"), (str(folder / "work"), "<here>"), (str(CHECKOUT), "<checkout>")]


def _shown(text: str) -> str:
    return "".join(f"{line or '.'}\n" for line in text.splitlines())


def settled(text: str, places: Sequence[tuple[str, str]] = ()) -> str:
    """Return `text` with what changes from run to run replaced."""
    for path, name in places:
        text = text.replace(path, name)
    for pattern, name in RULES:
        text = re.sub(pattern, name, text)
    return text


def _type(command: str, folder: Path) -> tuple[int, str, str]:
    """Run `evalctl` inside this process, whatever else with bash."""
    words = shlex.split(command)
    own = {"EVALCTL_HOME": str(folder / "home"), "COLUMNS": "80"}
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        own.update([words.pop(0).split("=", 1)])
    if words[0] != "evalctl" or re.search(r"[|<>;&$*]", command):
        search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder / "work",
            env=os.environ | own | {"PATH": search},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr
    stdout, stderr = io.StringIO(), io.StringIO()
    before = dict(os.environ)
    os.environ.update(own)
    try:
        with chdir(folder / "work"), redirect_stdout(stdout), redirect_stderr(stderr):
            status = run(words[1:])
    finally:
        os.environ.clear()
        os.environ.update(before)
    return status, stdout.getvalue(), stderr.getvalue()
