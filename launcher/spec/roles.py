"""What a trust policy lets a key sign, and why a key is revoked: the words, and what each is good for."""

from typing import Final, Literal, get_args

Role = Literal["lock", "result", "reproduction", "root"]
Revocation = Literal["key-compromise", "superseded"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
REVOCATIONS: Final[tuple[Revocation, ...]] = get_args(Revocation)
# What a bundle's attestations are signed as; `root` signs policies.
EVIDENCE_ROLES: Final[tuple[Role, ...]] = ("lock", "result", "reproduction")
# What is said of these was made by a builder, and says when, so that it can be too old.
BUILT_ROLES: Final[tuple[Role, ...]] = ("result", "reproduction")
