"""The keys that salts come from: one for each redactable bundle, in the home and never in a bundle."""

import os
from pathlib import Path
from typing import Final

from launcher.errors import InfrastructureError
from launcher.spec.commitments import KEY_BYTES, SaltKey
from launcher.store.files import write_atomically
from launcher.store.home import Home, make_private

FOLDER: Final = "redaction"


def key_place(home: Home, invocation_id: str) -> Path:
    """Return where the key of the bundle of this attempt is, or would be."""
    return home.root / FOLDER / f"{invocation_id}.key"


def new_redaction_key(home: Home, invocation_id: str) -> SaltKey:
    """Draw the key of an attempt's bundle and keep it, readable by its owner alone, before it is used."""
    key = SaltKey(os.urandom(KEY_BYTES))
    make_private(home.root / FOLDER)
    write_atomically(key_place(home, invocation_id), key.data.hex().encode() + b"\n", mode=0o600)
    return key


def read_redaction_key(home: Home, invocation_id: str) -> SaltKey:
    """Return the key of an attempt's bundle; raises `InfrastructureError` where the home does not hold it."""
    place = key_place(home, invocation_id)
    try:
        data = bytes.fromhex(place.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise _missing(place) from error
    if len(data) != KEY_BYTES:
        raise _missing(place)
    return SaltKey(data)


def _missing(place: Path) -> InfrastructureError:
    return InfrastructureError(
        "this home does not hold the bundle's redaction key, and without it nothing can be given out",
        code="no-redaction-key",
        context=f"expected it in `{place}`",
        hint="redact on the machine that launched it, or copy that file from its home into this one",
    )
