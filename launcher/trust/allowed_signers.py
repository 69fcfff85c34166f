"""Say a trust policy in OpenSSH's words: the `allowed_signers` file that `ssh-keygen -Y verify` reads.

https://man.openbsd.org/ssh-keygen#ALLOWED_SIGNERS. It knows keys, windows and namespaces, and neither
thresholds nor builders: whoever is named there counts alone.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from launcher.spec.roles import EVIDENCE_ROLES, Role
from launcher.trust.policy import Policy, TrustedKey

_NOTES: Final = (
    "# OpenSSH allowed_signers, made of an evalctl trust policy of version {version}.",
    "# One signature counts here: thresholds, builders, predicates and ages are not said in this format.",
)


def namespace(role: Role) -> str:
    """Return the namespace of signatures in `role`: `ssh-keygen -Y sign -n NAMESPACE`."""
    return f"evalctl-{role}@w3id.org"


def allowed_signers(policy: Policy) -> str:
    """Return the lines of a policy; a compromised key is left out, and no key outlives the policy."""
    lines = [note.format(version=policy.version) for note in _NOTES]
    for key in policy.keys.values():
        roles = [role for role in EVIDENCE_ROLES if role in key.roles and _is_member(policy, role, key)]
        if key.reason == "key-compromise":
            lines.append(f"# `{key.name}` is left out: its key is compromised. For a KRL, `ssh-keygen -k`:")
            lines.append(f"# {key.public.openssh} {key.name}")
        elif roles:
            lines.append(_line(policy, key, roles))
    return "\n".join(lines) + "\n"


def _is_member(policy: Policy, role: Role, key: TrustedKey) -> bool:
    return role in policy.rules and key.name in policy.rules[role].members


def _line(policy: Policy, key: TrustedKey, roles: list[Role]) -> str:
    return f"{key.name} {','.join(_options(policy, key, roles))} {key.public.openssh}"


def _options(policy: Policy, key: TrustedKey, roles: list[Role]) -> Iterator[str]:
    yield f'namespaces="{",".join(map(namespace, roles))}"'
    if key.valid_from is not None:
        yield f'valid-after="{_time(key.valid_from)}"'
    ends = [policy.expires, key.valid_until, key.revoked_from]
    yield f'valid-before="{_time(min(end for end in ends if end is not None))}"'


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%d%H%M%SZ}"
