"""Policies that are none: whoever gave them is told so (exit code 2), and nothing is accepted."""

from collections.abc import Iterator

from tests.bundles.case import Case, Trust, leave
from tests.bundles.keys import ALICE
from tests.bundles.policies import of, policy


def cases() -> Iterator[Case]:
    """Yield the malformed policies."""
    alice = ALICE.public.openssh
    for title, said, text, words in (
        ("unknown-field", "an unknown field", "colour = 1\n" + policy(), "unknown field"),
        (
            "unknown-field-of-a-key",
            "a key with an unknown field",
            policy({"alice": 'valid-til = "x"'}),
            "unknown field",
        ),
        ("unknown-role", "a role that there is not", policy({"alice": 'roles = ["admin"]'}), "unknown role"),
        ("threshold-zero", "a threshold of none", policy(rules=of(0, "alice")), "`threshold` must be"),
        (
            "threshold-negative",
            "a threshold below none",
            policy(rules=of(-1, "alice")),
            "`threshold` must be",
        ),
        (
            "threshold-beyond-members",
            "a threshold of two of one",
            policy(rules=of(2, "alice")),
            "`threshold` must be",
        ),
        (
            "threshold-true",
            "a threshold that is no number",
            policy(rules={**of(1, "alice"), "result": 'threshold = true\nfrom = ["alice"]'}),
            "`threshold` must be",
        ),
        ("member-unknown", "a member that has no key", policy(rules=of(1, "bob")), "not among the keys"),
        ("member-twice", "a member twice", policy(rules=of(2, "alice", "alice")), "twice"),
        (
            "one-key-under-two-names",
            "one key under two names",
            policy() + f'[keys.twin]\npublic = "{alice}"\nroles = ["result"]\n',
            "one key is one principal",
        ),
        (
            "time-without-zone",
            "a time without its zone",
            policy(head="version = 1\nexpires = 2099-01-01T00:00:00"),
            "zone",
        ),
        ("without-expiry", "no end", policy(head="version = 1"), "`expires` is missing"),
        (
            "version-zero",
            "version 0",
            policy(head="version = 0\nexpires = 2099-01-01T00:00:00Z"),
            "`version` must be",
        ),
        ("not-toml", "no TOML", "{}", "is not TOML"),
        ("a-key-twice-in-toml", "a table twice", policy() + "[keys.alice]\n", "is not TOML"),
        ("rsa", "an RSA key", policy().replace(alice, "ssh-rsa AAAAB3NzaC1yc2E="), "not an Ed25519 or P-256"),
    ):
        yield Case(
            title=f"policy-with-{title}",
            group="policy",
            attack=f"was honest, but the policy has {said}",
            forge=leave,
            trust=Trust(policy=text),
            exit_code=2,
            refused_by="malformed-policy",
            words=words,
        )
