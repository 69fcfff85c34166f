"""Reproductions that are none: of another bundle, of itself, with false figures, or by nobody who counts."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from launcher.canonical import parse_json
from launcher.digest import sha256_hex
from launcher.spec import bundle as names
from launcher.spec.claims import evaluation_result
from launcher.spec.predicates import RESULT_TYPE
from launcher.spec.reproduction import MetricReproduction, Reproduction
from launcher.spec.result import Result
from launcher.spec.statement import reproduction_statement
from launcher.trust.sigstore import seal
from tests.bundles.case import Case, Forge, Trust
from tests.bundles.forging import RESULT, fifo, then, write
from tests.bundles.honest import BUILDER, FINISHED
from tests.bundles.keys import ALICE, BOB, MALLORY, FixedSigner
from tests.bundles.policies import policy

_TRUST = Trust(policy=policy({"alice": "", "bob": ""}))
_OTHER = "sha256:" + "55" * 32
PLACE = names.reproduction_attestation(_OTHER)


def attached(
    signer: FixedSigner = BOB,
    place: str = PLACE,
    change: Callable[[Any], object] = lambda _: None,
    **changes: Any,
) -> Forge:
    """Return what somebody does who attaches a reproduction; `change` alters the signed statement."""

    def forge(bundle: Path) -> None:
        sums = (bundle / names.SUMS).read_bytes()
        result = Result.from_json(parse_json((bundle / names.RESULT).read_bytes()))
        claims = evaluation_result(result, BUILDER, FINISHED).claims
        said = Reproduction(
            **{
                "original": "sha256:" + sha256_hex(sums),
                "reproduced": _OTHER,
                "lock": result.lock,
                "verifier": BUILDER,
                "evaluated_at": "2026-11-21T11:00:06Z",
                "verdict": "identical",
                "metrics": tuple(
                    MetricReproduction(claim.metric, claim.value, claim.value, "identical")
                    for claim in claims
                ),
                "samples": ("40", "40"),
                "environment": {"machine": "x86_64"},
                **changes,
            }
        )
        statement = reproduction_statement(said)
        change(statement)
        write(place, seal(statement, signer))(bundle)

    return forge


def _metric(original: str, reproduced: str, verdict: Any) -> tuple[MetricReproduction, ...]:
    return (MetricReproduction("accuracy", original, reproduced, verdict),)


def _copied(bundle: Path) -> None:
    attached()(bundle)
    shutil.copy(bundle / PLACE, bundle / names.reproduction_attestation("sha256:" + "66" * 32))


_CHECK = PLACE.removeprefix("attestations/").removesuffix(".sigstore.json")
_SIGNATURE = f"signature:{_CHECK}"


def _case(title: str, attack: str, forge: Forge, words: str = "", refused_by: str = _CHECK) -> Case:
    return Case(
        title=f"reproduction-{title}",
        group="reproductions",
        attack=attack,
        forge=forge,
        trust=_TRUST,
        exit_code=1 if words else 0,
        refused_by=refused_by if words else "",
        words=words,
    )


def cases() -> Iterator[Case]:
    """Yield reproductions, good and bad."""
    yield _case("by-another-key", "attached a reproduction by another key that is trusted", attached())
    yield _case("by-the-same-key", "attached a reproduction by his own key, which is said", attached(ALICE))
    yield _case("by-a-stranger", "attached one by a key of his own: it is skipped", attached(MALLORY))
    yield _case("copied", "attached a reproduction twice, under two names: it counts once", _copied)
    yield from _about()
    yield from _shapes()


def _about() -> Iterator[Case]:
    yield _case(
        "of-another-bundle",
        "attached a reproduction of another bundle",
        attached(original=_OTHER),
        "about other files",
    )
    yield _case(
        "of-another-bundle-in-its-words",
        "attached a reproduction whose words name another bundle",
        attached(change=lambda it: it["predicate"].update(original=_OTHER)),
        "is of another bundle",
    )
    yield _case("by-itself", "named the original as its own reproduction", _of_itself, "as its own outcome")
    yield _case(
        "of-another-lock",
        "attached a reproduction of another lock",
        attached(lock=_OTHER),
        "launched another lock",
    )
    yield _case(
        "of-another-value",
        "attached a reproduction that compares with a better value",
        attached(metrics=_metric("0.99", "0.99", "identical")),
        "other figures",
    )
    yield _case(
        "of-another-spelling",
        "attached a reproduction that spells the value otherwise",
        attached(metrics=_metric("0.90", "0.90", "identical")),
        "other figures",
    )
    yield _case(
        "of-another-metric",
        "attached a reproduction of a metric that there is not",
        attached(metrics=(MetricReproduction("f1", "0.9", "0.9", "identical"),)),
        "other figures",
    )
    yield _case(
        "that-calls-different-identical",
        "called identical what differs",
        attached(metrics=_metric("0.9", "0.8", "identical")),
        "verdict is not what it says",
    )
    yield _case(
        "better-than-its-metrics",
        "called the whole identical where a metric diverged",
        attached(metrics=_metric("0.9", "0.8", "diverged")),
        "verdict is not what it says",
    )
    yield _case(
        "with-more-equal-than-compared",
        "counted more equal samples than were compared",
        attached(samples=("40", "41")),
        "more equal samples",
    )
    yield _case(
        "with-other-samples-called-identical",
        "called identical what has other samples",
        attached(samples=("40", "39")),
        "verdict is not what it says",
    )


def _of_itself(bundle: Path) -> None:
    digest = "sha256:" + sha256_hex((bundle / names.SUMS).read_bytes())
    attached(reproduced=digest)(bundle)


def _shapes() -> Iterator[Case]:
    yield _case(
        "signed-badly", "attached a reproduction in a colleague's name", _forged, "does not hold", _SIGNATURE
    )
    yield _case("empty", "attached an empty file", write(PLACE, b""), "not JSON", _SIGNATURE)
    yield _case(
        "that-is-a-result",
        "attached the result's own statement as a reproduction",
        lambda bundle: shutil.copy(bundle / RESULT, bundle / PLACE),
        "holds `",
    )
    yield _case(
        "of-the-wrong-type",
        "attached a reproduction that calls itself a result",
        attached(change=lambda it: it.update(predicateType=RESULT_TYPE)),
        "holds `",
    )
    yield _case(
        "with-a-field-more",
        "attached a reproduction with a field that nobody checks",
        attached(change=lambda it: it["predicate"].update(more=1)),
        "unknown field",
    )
    yield _case(
        "with-an-unknown-verdict",
        "attached a reproduction with a verdict that there is not",
        attached(change=lambda it: it["predicate"].update(verdict="perfect")),
        "not one of",
    )
    yield _case(
        "about-two-files",
        "attached a reproduction about two files",
        attached(change=lambda it: it["subject"].append({**it["subject"][0], "name": "x"})),
        "about other files",
    )
    yield _case("that-is-a-fifo", "attached a FIFO", fifo(PLACE), "FIFO", "files")
    sixty_four = then(
        *(write(f"attestations/reproduction-{number}.sigstore.json", b"{}") for number in range(64))
    )
    yield _case("flood", "attached 64 reproductions", sixty_four, "more than 64 attestations", "files")


def _forged(bundle: Path) -> None:
    attached()(bundle)
    data = (bundle / PLACE).read_bytes()
    at = data.index(b'"sig":"') + 7
    (bundle / PLACE).write_bytes(data[:at] + (b"B" if data[at : at + 1] == b"A" else b"A") + data[at + 1 :])
