"""A maker whom nobody knows and a colleague who is trusted: what she co-signed counts, and nothing else."""

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace as but

from launcher.spec import bundle as names
from tests.bundles.case import Case, Forge, Trust, leave
from tests.bundles.forging import LOCK, PROVENANCE, RESULT, result_file, sealed, then
from tests.bundles.keys import BOB, MALLORY
from tests.bundles.ledgers import counted, record
from tests.bundles.policies import co_signed, policy
from tests.bundles.redactions import some

_EVERY = (PROVENANCE, RESULT, LOCK)
_KEPT = tuple(map(names.as_original, _EVERY))
# BOB alone is trusted; ALICE, who made the bundles, is nobody to whoever verifies them.
_TRUST = Trust(policy=policy({"bob": ""}))


def _case(title: str, attack: str, forge: Forge, refused_by: str = "", words: str = "", **more: Any) -> Case:
    usual: dict[str, Any] = {"exit_code": 3 if refused_by else 0, "group": "keys and thresholds"}
    return Case(
        title=f"unknown-maker-{title}",
        attack=attack,
        forge=forge,
        trust=_TRUST,
        refused_by=refused_by,
        words=words,
        **usual | more,
    )


def _without(name: str) -> Forge:
    return co_signed(BOB, *(other for other in _EVERY if other != name))


def _lie(result: Any) -> None:
    result["metrics"][0]["value"] = 1.0


def _by_mallory(*co_signers: Forge) -> Forge:
    """Return what somebody does who launches a lie, and has BOB sign it beside him."""
    return then(sealed(result_file(_lie), signer=MALLORY), *co_signers)


def cases() -> Iterator[Case]:
    """Yield bundles whose maker the policy does not know."""
    nobody = "asks for 1, 0 counted"
    yield _case("co-signed", "had a trusted colleague co-sign everything", co_signed(BOB, *_EVERY))
    yield _case(
        "co-signed-and-counted",
        "had a trusted colleague co-sign everything, with the proof of his own ledger",
        co_signed(BOB, *_EVERY),
        base=counted,
    )
    yield _case(
        "counted-for-the-co-signer",
        "had a ledger record the co-signer as the one who launched",
        then(record(lambda it: but(it, signer=BOB.public.fingerprint)), co_signed(BOB, *_EVERY)),
        "ledger-proof",
        "values for the signer",
        base=counted,
        exit_code=1,
    )
    for name, label in ((PROVENANCE, "provenance"), (RESULT, "result"), (LOCK, "lock")):
        yield _case(
            f"without-the-{label}",
            f"had a trusted colleague co-sign all but the {label}: what is in it is not looked at",
            _without(name),
            f"trust:{label}",
            nobody,
        )
    yield _case(
        "lies-half-signed",
        "signed a better value, and had a colleague co-sign the provenance and the lock alone",
        _by_mallory(_without(RESULT)),
        "trust:result",
        nobody,
    )
    yield _case(
        "lies-signed",
        "signed a better value, and had a colleague co-sign all of it: it is recomputed",
        _by_mallory(co_signed(BOB, *_EVERY)),
        "metrics",
        "does not follow from the samples",
        exit_code=1,
    )
    yield from _redacted(nobody)


def _redacted(nobody: str) -> Iterator[Case]:
    yield _case(
        "redacted",
        "redacted it, and had a trusted colleague co-sign both",
        co_signed(BOB, *_EVERY, *_KEPT),
        base=some,
        group="redaction",
    )
    for label, forge, refused_by in (
        ("by-nobody", co_signed(BOB, *_KEPT), "trust:result"),
        ("half-signed", co_signed(BOB, RESULT, LOCK, *_KEPT), "trust:provenance"),
        ("from-nobody", co_signed(BOB, *_EVERY), "trust:original:result"),
        ("from-half-signed", co_signed(BOB, *_EVERY, *_KEPT[1:]), "trust:original:provenance"),
        ("from-another-lock", co_signed(BOB, *_EVERY, *_KEPT[:2]), "trust:original:lock"),
        ("by-strangers", leave, "trust:result"),
    ):
        yield _case(
            f"redacted-{label}",
            "redacted it, and had a trusted colleague co-sign some of the statements alone",
            forge,
            refused_by,
            nobody,
            base=some,
            group="redaction",
        )
