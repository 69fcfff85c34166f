"""SSHSIG: a signature over a file that `ssh-keygen -Y verify` checks.

https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig. It is made for people who have
OpenSSH and nothing else; no verifier of evalctl reads it, so that there is one truth about who signed what.
"""

import base64
import hashlib
from typing import Final

from launcher.trust.keys import Signer

_MAGIC: Final = b"SSHSIG"
_VERSION: Final = (1).to_bytes(4, "big")
_HASH: Final = b"sha512"
_LINE: Final = 70


def ssh_signature(data: bytes, namespace: str, signer: Signer) -> bytes:
    """Return the armoured signature of `data` in `namespace`, as `ssh-keygen -Y sign` writes it."""
    said = _string(namespace.encode()) + _string(b"") + _string(_HASH)
    signature = signer.sign(_MAGIC + said + _string(hashlib.sha512(data).digest()))
    name = signer.public.algorithm.encode()
    body = signature if signer.public.algorithm == "ssh-ed25519" else _numbers(signature)
    blob = _MAGIC + _VERSION + _string(signer.public.blob) + said + _string(_string(name) + _string(body))
    text = base64.b64encode(blob).decode()
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]).encode()


def _numbers(signature: bytes) -> bytes:
    """Return a DER signature's two numbers as OpenSSH writes them (RFC 5656, section 3.1.2)."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    return b"".join(
        _string(number.to_bytes(number.bit_length() // 8 + 1, "big"))
        for number in decode_dss_signature(signature)
    )


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
