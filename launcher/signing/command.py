"""A program that signs: for keys in a KMS or an HSM, which never leave it.

A small TOML file names the program and the public key. For P-256 it gets the SHA-256 digest of what is to be
signed, in hex, on stdin; for Ed25519 the bytes themselves (DSSE's pre-authentication encoding). It writes the
signature in base64 (P-256: ASN.1 DER) to stdout. No shell is between, and each signature is verified.
"""

import base64
import binascii
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final

from launcher.digest import sha256_hex
from launcher.errors import InfrastructureError, MalformedError, Problem
from launcher.spec.advice import advice
from launcher.spec.document import Document, read_document
from launcher.spec.kinds import Fault, Key, ListOf, Table
from launcher.spec.scalars import argument, constant, duration
from launcher.trust.key_files import load_public_file
from launcher.trust.keys import PublicKey

SCHEMA: Final = "evalctl/signer/v1"
_MOST_BYTES: Final = 4096
_MOST_SHOWN: Final = 200
# Beyond this a program is ended before its time: its output lies on the disk.
_MOST_WRITTEN: Final = 1 << 20
_LOOK_SECONDS: Final = 0.1


def _values(*, schema: str, **values: Any) -> dict[str, Any]:
    del schema
    return values


SIGNER: Final = Table(
    "A program that signs with a key that it alone can use.",
    (
        Key("schema", constant(SCHEMA), "The version of this language.", SCHEMA),
        Key(
            "public",
            argument("a path"),
            "The public key's file; a relative path starts at this file's folder.",
        ),
        Key("command", ListOf(argument(), minimum=1), "The program and its arguments; no shell reads them."),
        Key("timeout", duration(), "How long one signature may take.", "1m"),
    ),
    make=_values,
)


@dataclass(frozen=True, slots=True)
class CommandSigner:
    """Sign by running a program in `folder`."""

    public: PublicKey
    command: tuple[str, ...]
    folder: Path
    seconds: float

    def sign(self, data: bytes) -> bytes:
        """Return the program's signature over `data`, once it was verified; raises `InfrastructureError`."""
        is_digest = self.public.algorithm != "ssh-ed25519"
        said = self._run(f"{sha256_hex(data)}\n".encode() if is_digest else data)
        try:
            signature = base64.b64decode(b"".join(said.split()), validate=True)
        except (binascii.Error, ValueError):
            raise self._failed("what it wrote is not base64") from None
        if not self.public.is_signature_of(data, signature):
            raise self._failed(f"what it wrote is no signature by {self.public.fingerprint}")
        return signature

    def _run(self, data: bytes) -> bytes:
        # Files, not pipes: what the program starts may keep them open as long as it likes.
        with TemporaryFile() as stdin, TemporaryFile() as stdout, TemporaryFile() as stderr:
            stdin.write(data)
            stdin.seek(0)
            try:
                process = subprocess.Popen(
                    self.command, stdin=stdin, stdout=stdout, stderr=stderr, cwd=self.folder
                )
            except (OSError, ValueError) as error:
                raise self._failed(getattr(error, "strerror", None) or str(error)) from error
            try:
                status = self._ended(process, (stdout, stderr))
            finally:
                process.kill()
                process.wait()
            if status:
                raise self._failed(f"it ended with {status}: {_last_line(stderr)}")
            stdout.seek(0)
            said = stdout.read(_MOST_BYTES + 1)
        if len(said) > _MOST_BYTES:
            raise self._failed(f"it wrote more than {_MOST_BYTES} bytes")
        return said

    def _ended(self, process: "subprocess.Popen[bytes]", written: tuple[IO[bytes], ...]) -> int:
        """Wait for the program's exit code; it may neither take longer than it has nor fill the disk."""
        deadline = time.monotonic() + self.seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                return process.wait(min(left, _LOOK_SECONDS))
            except subprocess.TimeoutExpired:
                if any(os.fstat(stream.fileno()).st_size > _MOST_WRITTEN for stream in written):
                    raise self._failed(f"it wrote more than {_MOST_WRITTEN} bytes") from None
        raise self._failed(f"it did not end in {self.seconds:.0f} seconds")

    def _failed(self, context: str) -> InfrastructureError:
        return InfrastructureError(
            f"the signer `{self.command[0]}` failed",
            code="signer-failed",
            context=context,
            hint="try it by hand: docs/keys.md says what it is given, and what it must answer",
        )


def read_command_signer(path: Path, data: bytes) -> CommandSigner:
    """Return the signer that the TOML file at `path` with the bytes `data` describes.

    Raises `MalformedError` (code `malformed-signer`) with every problem.
    """
    try:
        document = read_document(data, file=str(path))
    except MalformedError as error:
        raise _malformed(path, list(error.problems)) from error
    faults: list[Fault] = []
    values = SIGNER.read(document.values, (), faults)
    if "schema" not in document.values:
        faults.append(Fault((), f'the file lacks its schema; write `schema = "{SCHEMA}"` first'))
    if faults:
        raise _malformed(path, _problems(document, faults))
    built = SIGNER.build(values)
    public = load_public_file(path.parent / built["public"])
    return CommandSigner(public, built["command"], path.parent, built["timeout"])


def _problems(document: Document, faults: list[Fault]) -> list[Problem]:
    positions = document.positions
    placed = [
        (*positions.place((positions.key if fault.at == "key" else positions.value)(fault.path)), fault)
        for fault in faults
    ]
    return [
        Problem(
            document.file,
            line,
            column,
            fault.message.replace("the blueprint", "the file", 1) + advice(fault, SIGNER),
        )
        for line, column, fault in sorted(placed)
    ]


def _last_line(stream: IO[bytes]) -> str:
    end = stream.seek(0, 2)
    stream.seek(max(0, end - _MOST_BYTES))
    lines = stream.read().decode(errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:_MOST_SHOWN] if said else "it wrote nothing to stderr"


def _malformed(path: Path, problems: list[Problem]) -> MalformedError:
    return MalformedError(
        f"`{path}` is no key, and does not say which program signs",
        code="malformed-signer",
        context="expected a private key, a public one that ssh-agent has, or the TOML file of a program",
        hint="docs/keys.md shows such a file",
        problems=problems,
    )
