"""Timestamps by `openssl ts`: over other signatures, by others than the policy names, and too late."""

import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ExtendedKeyUsageOID, load_pem_x509_certificate

from launcher.trust.sigstore import open_envelope, seal_payload
from launcher.trust.timestamps import StampedSigner
from tests.bundles.case import Case, Forge, Trust
from tests.bundles.forging import PROVENANCE, RESULT, payload_of
from tests.bundles.keys import ALICE
from tests.bundles.policies import policy
from tests.signing.authorities import TestAuthority, certified, make_authority

Stamp = Callable[[bytes], bytes]


@cache
def _folder(number: int) -> "tempfile.TemporaryDirectory[str]":
    """Return a folder that is there as long as this process, one for each number."""
    return tempfile.TemporaryDirectory(prefix=f"authority-{number}-")


@cache
def _authority(number: int) -> TestAuthority:
    """Return an authority; all have the same names, and each its own keys."""
    return make_authority(Path(_folder(number).name))


def _ours(signature: bytes) -> bytes:
    return _authority(1).stamp(signature)


def _theirs(signature: bytes) -> bytes:
    return _authority(2).stamp(signature)


def _for_servers(signature: bytes) -> bytes:
    """Return a token that brings, for its signer's, a certificate of a web server by the same root."""
    token = _ours(signature)
    real = load_pem_x509_certificate((_authority(1).folder / "signer.pem").read_bytes())
    der = real.public_bytes(Encoding.DER)
    forged = certified(_authority(1), len(der), purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    assert token.count(der) == 1
    return token.replace(der, forged)


def _stamped(stamp: Stamp, more: str = "", key: str = "", *, named: bool = True) -> Forge:
    """Return a forgery that has the result's signature stamped, under a policy that names our authority."""

    def forge(bundle: Path) -> None:
        signer = StampedSigner(ALICE, stamp)
        (bundle / RESULT).write_bytes(seal_payload(payload_of(bundle, RESULT), signer))
        table = _authority(1).table("own", *([more] if more else [])) if named else ""
        (bundle.parent / "trust.toml").write_text(policy({"alice": key}) + table)

    return forge


def _moved(bundle: Path) -> None:
    """Stamp the provenance, and put that stamp beside the result's signature."""
    _stamped(_ours)(bundle)
    other = _ours(open_envelope((bundle / PROVENANCE).read_bytes()).signature)
    _stamped(lambda _: other)(bundle)


def _case(title: str, attack: str, forge: Forge, words: str = "", **more: Any) -> Case:
    usual: dict[str, Any] = {
        "exit_code": 1 if words else 0,
        "refused_by": "timestamp:result" if words else "",
    }
    return Case(
        title=title,
        group="timestamps",
        attack=attack,
        forge=forge,
        words=words,
        trust=Trust(policy=policy()),
        **usual | more,
    )


def cases() -> Iterator[Case]:
    """Yield the timestamps, good and bad."""
    superseded = 'revoked-from = 2026-01-01T00:00:00Z\nreason = "superseded"'
    yield _case("stamped", "had the result's signature stamped", _stamped(_ours))
    yield _case(
        "stamped-by-a-stranger",
        "had it stamped by an authority that the policy does not name: that is said, and proves nothing",
        _stamped(_ours, named=False),
    )
    yield _case(
        "stamp-of-another-signature",
        "took the stamp of the provenance's signature for the result's",
        _moved,
        "of another signature",
    )
    yield _case(
        "stamp-by-a-namesake",
        "had it stamped by an authority of his own, under the names of the one that the policy names",
        _stamped(_theirs),
        "none by `own`",
    )
    yield _case(
        "stamp-by-a-certificate-for-servers",
        "gave, for the stamp's signer, a certificate by the same root that is none for stamps",
        _stamped(_for_servers),
        "none by `own`",
    )
    yield _case(
        "stamp-by-an-authority-that-counts-no-more",
        "had it stamped when the authority did not count any more",
        _stamped(_ours, "valid-until = 2026-01-01T00:00:00Z"),
        "counted until",
    )
    yield _case(
        "stamp-that-is-a-refusal",
        "gave the authority's refusal for a stamp",
        _stamped(lambda signature: _authority(1).stamp(signature, "-sha384", "-cert")),
        "refused",
    )
    yield _case(
        "stamp-cut",
        "cut the stamp",
        _stamped(lambda signature: _ours(signature)[:-9]),
        "malformed",
    )
    yield _case(
        "stamp-and-a-byte",
        "added a byte to the stamp",
        _stamped(lambda signature: _ours(signature) + b"\0"),
        "malformed",
    )
    yield _case(
        "stamped-too-late",
        "had it stamped after the key was superseded",
        _stamped(_ours, key=superseded),
        "is revoked since",
        exit_code=3,
        refused_by="trust:result",
    )
    yield _case(
        "stamped-and-compromised",
        "had it stamped with a key that was stolen, whenever that was",
        _stamped(_ours, key='revoked-from = 2098-01-01T00:00:00Z\nreason = "key-compromise"'),
        "revoked: key-compromise",
        exit_code=3,
        refused_by="trust:result",
    )
