"""Fields of a policy that a careless verifier reads and does not use, or matches by a pattern."""

from collections.abc import Iterator

from tests.bundles.case import Case, Trust, leave
from tests.bundles.honest import BUILDER
from tests.bundles.policies import of, policy

_ONE = 'threshold = 1\nfrom = ["alice"]\n'


def cases() -> Iterator[Case]:
    """Yield honest bundles under a policy that asks for something else."""
    home, _, last = BUILDER.id.rpartition("/")
    builders = {
        "by-a-wildcard": ("names builders by a wildcard, which there is not", f"{home}/*"),
        "by-two-wildcards": ("names builders by `**`, which there is not", "**"),
        "by-a-pattern": ("names builders by a regular expression, which there is not", f"{home}/.*"),
        "by-its-beginning": ("names the beginning of the builder", home),
        "with-a-slash": ("names the builder with a slash more", f"{BUILDER.id}/"),
        "in-capitals": ("names the builder in capitals", f"{home}/{last.upper()}"),
    }
    for title, (said, builder) in builders.items():
        yield Case(
            title=f"builder-{title}",
            group="policy",
            attack=f"was honest, but the policy {said}",
            forge=leave,
            trust=Trust(policy=policy({"alice": f'builders = ["{builder}"]'})),
            exit_code=3,
            refused_by="trust:result",
            words="may not sign for the builder",
        )
    rules = {
        "older-than-the-rule-allows": (
            "wants results of the last hour",
            _ONE + 'max-age = "1h"',
            "it is older than the 1h",
        ),
        "predicate-by-a-wildcard": (
            "names predicates by a wildcard, which there is not",
            _ONE + 'predicate = ["https://w3id.org/evalctl-launcher/*"]',
            "does not allow",
        ),
        "predicate-by-its-beginning": (
            "names the beginning of the predicate",
            _ONE + 'predicate = ["https://w3id.org/evalctl-launcher/evaluation-result"]',
            "does not allow",
        ),
    }
    for title, (said, rule, words) in rules.items():
        yield Case(
            title=title,
            group="policy",
            attack=f"was honest, but the policy {said}",
            forge=leave,
            trust=Trust(policy=policy(rules={**of(1, "alice"), "result": rule})),
            exit_code=3,
            refused_by="trust:result",
            words=words,
        )
