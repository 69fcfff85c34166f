"""`evalctl export`: what other programs read of a bundle, and the verifier in one file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from launcher.cli.options import BundleName, Json, PassphraseDescriptor, SigningKey, TrustPolicy
from launcher.cli.output import print_json, say, say_next
from launcher.digest import digest_of
from launcher.errors import CheckFailedError, MalformedError, TrustError
from launcher.store.files import write_atomically

if TYPE_CHECKING:
    from launcher.store.home import Home
    from launcher.verify import Contents

_VERIFIER = Path(__file__).parent.parent / "exports" / "evalctl_verify.py"

OutFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write it here; default: standard output.")
]


def verifier(out: OutFile = None, as_json: Json = False) -> int:
    """Print the stand-alone verifier, one Python file.

    It needs Python 3.11 and the package `cryptography`, and nothing of evalctl: `python3 evalctl_verify.py
    BUNDLE --key PUB` or `--trust trust.toml`. Its exit codes are those of `evalctl verify`; what it does not
    check it names.
    """
    data = _VERIFIER.read_bytes()
    place = _written(data, out)
    if as_json:
        print_json({"file": place, "digest": digest_of(data), "text": None if out else data.decode()})
    elif out is None:
        print(data.decode(), end="")
    else:
        print(out)
        say_next(f"python3 {out} BUNDLE --key PUB")
    return 0


StatementKey = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Sign it with this private key, as a Sigstore bundle."),
]


def in_toto(
    bundle: BundleName,
    out: OutFile = None,
    key: StatementKey = None,
    passphrase_fd: PassphraseDescriptor = None,
    trust: TrustPolicy = None,
    as_json: Json = False,
) -> int:
    """Write a bundle's verdict as in-toto's test-result.

    The bundle is verified first, as `evalctl verify` does it. Each metric with a threshold is a test. PASSED
    is a whole run that kept every threshold; a run without any, a partial, redacted or imported one is WARNED
    at best. Without `--key` it is a bare statement that nobody signed. Exit codes: 1 the bundle is broken, 3
    its signer is not trusted.
    """
    from launcher.cli.signing import read_signer
    from launcher.exchange.in_toto import test_result
    from launcher.store.home import find_home
    from launcher.trust.dsse import statement_bytes
    from launcher.trust.sigstore import seal

    home = find_home()
    contents, sums = _verified(home, bundle, trust)
    statement = test_result(contents, sums)
    data = (
        seal(statement, read_signer(home, key, passphrase_fd)) if key else statement_bytes(statement) + b"\n"
    )
    place = _written(data, out)
    if as_json:
        signed = {"signed": key is not None, "digest": digest_of(sums)}
        print_json(
            {
                "file": place,
                "result": statement["predicate"]["result"],
                **signed,
                **_redaction(contents),
                "statement": statement,
            }
        )
    else:
        _say_withheld(contents)
        print(data.decode() if out is None else out, end="" if out is None else "\n")
    return 0


def sshsig(
    bundle: BundleName,
    out: OutFile = None,
    key: SigningKey = None,
    passphrase_fd: PassphraseDescriptor = None,
    trust: TrustPolicy = None,
    as_json: Json = False,
) -> int:
    """Sign a bundle's SHA256SUMS as OpenSSH does.

    The bundle is verified first, as `evalctl verify` does it. What is written is for people who have OpenSSH
    and nothing else: `ssh-keygen -Y verify` with `evalctl trust export --allowed-signers`, then `sha256sum
    -c SHA256SUMS`. No verifier of evalctl reads it. Exit codes: 1 the bundle is broken, 3 its signer is not
    trusted.
    """
    from launcher.cli.signing import read_signer
    from launcher.store.home import find_home
    from launcher.trust.allowed_signers import namespace
    from launcher.trust.sshsig import ssh_signature

    home = find_home()
    contents, sums = _verified(home, bundle, trust)
    signer = read_signer(home, key, passphrase_fd)
    data = ssh_signature(sums, namespace("result"), signer)
    place = _written(data, out)
    if as_json:
        said = {"file": place, "digest": digest_of(sums), "namespace": namespace("result")}
        said |= _redaction(contents)
        print_json({**said, "signer": signer.public.fingerprint, "signature": data.decode()})
    else:
        _say_withheld(contents)
        print(data.decode() if out is None else out, end="" if out is None else "\n")
    return 0


def _redaction(contents: "Contents") -> dict[str, Any]:
    redaction = contents.result.redaction
    return {"redaction": redaction.as_json() if redaction else None}


def _say_withheld(contents: "Contents") -> None:
    """Say on stderr what no format of others has a word for."""
    if contents.result.redaction is not None:
        say(f"note: {contents.result.redaction.said}")


def _verified(home: "Home", bundle: str, trust: Path | None) -> "tuple[Contents, bytes]":
    """Return what a bundle that verifies says, and the very SHA256SUMS that was verified."""
    from launcher.cli.signing import read_verifying_policy
    from launcher.spec.bundle import SUMS
    from launcher.store.bundles import find_bundle
    from launcher.verify import verify
    from launcher.verify.remembered import remembered

    path = find_bundle(home, bundle)
    policy = read_verifying_policy(home, trust, None)
    verification = remembered(home, verify(path, policy, datetime.now(UTC)))
    if verification.verdict != "verified" or verification.contents is None:
        raise _refused(bundle, tampered=verification.verdict == "failed")
    sums = (path / SUMS).read_bytes()
    if digest_of(sums) != verification.digest:
        raise _refused(bundle, tampered=True)
    return verification.contents, sums


def _refused(bundle: str, *, tampered: bool) -> CheckFailedError | TrustError:
    kind = CheckFailedError if tampered else TrustError
    return kind(
        f"`{bundle}` does not verify, so nothing is exported of it",
        code="not-verified",
        hint=f"see why with `evalctl verify {bundle}`",
    )


def _written(data: bytes, out: Path | None) -> str | None:
    """Write `data` at `out` where there is one; refuse what is no regular file."""
    if out is None:
        return None
    if out.is_symlink() or (out.exists() and not out.is_file()):
        raise MalformedError(f"`{out}` is not a regular file", code="usage", hint="give the name of a file")
    if not out.absolute().parent.is_dir():
        raise MalformedError(f"there is no folder `{out.parent}`", code="usage", hint="make it first")
    write_atomically(out, data)
    return str(out)
