"""Who may sign what: strangers, thresholds, co-signatures, and the policies that they are judged under."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from launcher.spec.bundle import co_signature
from launcher.trust.sigstore import seal_payload
from tests.bundles.case import Case, Forge, Trust, leave
from tests.bundles.forging import (
    LOCK,
    PROVENANCE,
    RESULT,
    payload_of,
    put_envelope,
    sealed,
    signed_envelope,
    then,
)
from tests.bundles.keys import ALICE, BOB, CAROL, MALLORY, FixedSigner

_NAMES = {"alice": ALICE, "bob": BOB, "carol": CAROL, "mallory": MALLORY}
_ROLES = ("lock", "result", "reproduction")


def policy(
    keys: Mapping[str, str] = {"alice": ""},
    rules: Mapping[str, str] | None = None,
    *,
    head: str = "version = 1\nexpires = 2099-01-01T00:00:00Z",
) -> str:
    """Return the text of a policy: each key with more lines of its own, each role's rule as it is given."""
    members = ", ".join(f'"{name}"' for name in keys)
    usual = dict.fromkeys(_ROLES, f"threshold = 1\nfrom = [{members}]")
    tables = [head]
    for name, more in keys.items():
        roles = "" if "roles" in more else 'roles = ["lock", "result", "reproduction"]\n'
        tables.append(f'[keys.{name}]\npublic = "{_NAMES[name].public.openssh}"\n{roles}{more}')
    tables += [f"[rules.{role}]\n{text}" for role, text in (usual if rules is None else rules).items()]
    return "\n".join(tables) + "\n"


def of(threshold: int, *names: str) -> dict[str, str]:
    """Return rules that ask for so many of these for a result, and for alice for the rest."""
    members = ", ".join(f'"{name}"' for name in names)
    alice = 'threshold = 1\nfrom = ["alice"]'
    return {
        "lock": alice,
        "result": f"threshold = {threshold}\nfrom = [{members}]",
        "reproduction": alice,
    }


def co_signed(signer: FixedSigner, *names: str, named: FixedSigner | None = None) -> Forge:
    """Return what another key does that signs the very same payloads."""

    def forge(bundle: Path) -> None:
        for name in names or (PROVENANCE, RESULT):
            place = co_signature(name, (named or signer).public.key_hex)
            (bundle / place).write_bytes(seal_payload(payload_of(bundle, name), signer))

    return forge


def _co_signed_other_payload(bundle: Path) -> None:
    body = payload_of(bundle, RESULT).replace(b'"pass"', b'"fail"')
    place = co_signature(RESULT, BOB.public.key_hex)
    put_envelope(bundle, place, signed_envelope(body, BOB))


def _named_as_another(bundle: Path) -> None:
    """Let BOB's own signature be named by CAROL's key."""
    co_signed(BOB, RESULT, named=CAROL)(bundle)


def _case(title: str, attack: str, trust: Trust, words: str, **more: Any) -> Case:
    usual = {"forge": leave, "exit_code": 3, "refused_by": "trust:result", "group": "policy"}
    return Case(title=title, attack=attack, trust=trust, words=words, **{**usual, **more})


def cases() -> Iterator[Case]:
    """Yield what is refused for who signed it, and what thresholds take."""
    for some in (_strangers, _thresholds, _co_signers, _two_of_three):
        yield from some()
    for some in (_policies, _key_terms, _rules, _versions, _signed_policies, _home):
        yield from some()


def _keyed(title: str, attack: str, trust: Trust, words: str, **more: Any) -> Case:
    return _case(title, attack, trust, words, group="keys and thresholds", **more)


def _strangers() -> Iterator[Case]:
    by_stranger = sealed(signer=MALLORY)
    yield _keyed(
        "stranger",
        "signed everything with a key of his own",
        Trust(ALICE),
        "asks for 1, 0 counted",
        forge=by_stranger,
    )
    yield _keyed(
        "stranger-signs-the-lock",
        "signed the lock with a key of his own",
        Trust(ALICE),
        "asks for 1, 0 counted",
        refused_by="trust:lock",
        forge=lambda bundle: put_envelope(bundle, LOCK, signed_envelope(payload_of(bundle, LOCK), MALLORY)),
    )
    yield _keyed(
        "stranger-signs-again",
        "signed the trusted signer's statements anew with a key of his own",
        Trust(ALICE),
        "asks for 1, 0 counted",
        forge=lambda bundle: [
            put_envelope(bundle, name, signed_envelope(payload_of(bundle, name), MALLORY))
            for name in (PROVENANCE, RESULT)
        ],
    )
    yield _keyed(
        "stranger-signs-the-result-alone",
        "signed the result alone with a key of his own",
        Trust(ALICE),
        "signed by different keys",
        exit_code=1,
        refused_by="agreement",
        forge=lambda bundle: put_envelope(
            bundle, RESULT, signed_envelope(payload_of(bundle, RESULT), MALLORY)
        ),
    )
    yield _keyed(
        "other-key-asked-for", "was honest, but another key is asked for", Trust(BOB), "asks for 1, 0 counted"
    )
    yield _keyed("nobody-trusted", "was honest, but this machine trusts nobody", Trust(), "has no rule")
    yield _keyed(
        "stranger-with-a-changed-file",
        "signed with a key of his own and changed a file later",
        Trust(ALICE),
        "is not what SHA256SUMS says",
        exit_code=1,
        refused_by="checksums",
        forge=then(by_stranger, lambda bundle: (bundle / "result.json").write_bytes(b"{}\n")),
    )


def _thresholds() -> Iterator[Case]:
    both = Trust(policy=policy({"alice": "", "bob": ""}, of(2, "alice", "bob")))
    one = "asks for 2, 1 counted"
    yield _keyed(
        "two-of-two",
        "had a colleague sign the same payloads",
        both,
        "",
        exit_code=0,
        refused_by="",
        forge=co_signed(BOB),
    )
    yield _keyed("one-of-two", "signed alone where two must", both, one)
    yield _keyed("one-key-twice", "co-signed with the same key", both, one, forge=co_signed(ALICE))
    yield _keyed(
        "co-signed-provenance-alone",
        "had the provenance co-signed, not the result",
        both,
        one,
        forge=co_signed(BOB, PROVENANCE),
    )
    yield _keyed(
        "co-signed-result-alone",
        "had the result co-signed, not the provenance",
        both,
        one,
        forge=co_signed(BOB, RESULT),
        refused_by="trust:provenance",
    )
    yield _keyed(
        "co-signed-by-a-stranger", "co-signed with a key of his own", both, one, forge=co_signed(MALLORY)
    )
    yield _keyed(
        "co-signed-in-anothers-name",
        "named a co-signature by a key that did not make it",
        both,
        "name different keys",
        exit_code=1,
        forge=_named_as_another,
        refused_by=f"signature:result.{CAROL.public.key_hex}",
    )
    yield _keyed(
        "co-signed-badly",
        "wrote a co-signature himself in a colleague's name",
        both,
        "does not hold",
        exit_code=1,
        refused_by=f"signature:result.{BOB.public.key_hex}",
        forge=then(co_signed(BOB), _forge_co_signature),
    )
    yield _keyed(
        "co-signed-another-payload",
        "had a colleague sign another result",
        both,
        "another payload",
        exit_code=1,
        refused_by="agreement",
        forge=_co_signed_other_payload,
    )


def _co_signers() -> Iterator[Case]:
    yield _keyed(
        "co-signed-without-the-role",
        "had a colleague co-sign who may not sign results",
        Trust(policy=policy({"alice": "", "bob": 'roles = ["reproduction"]'}, of(2, "alice", "bob"))),
        "does not have the role",
        forge=co_signed(BOB),
    )
    yield _keyed(
        "co-signed-by-nobody-named",
        "had a colleague co-sign whom the rule does not name",
        Trust(policy=policy({"alice": "", "bob": "", "carol": ""}, of(2, "alice", "carol"))),
        "is not named in the rule",
        forge=co_signed(BOB),
    )
    yield _keyed(
        "co-signed-by-a-revoked-key",
        "had somebody co-sign whose key was stolen",
        Trust(
            policy=policy(
                {"alice": "", "bob": 'revoked-from = 2026-01-01T00:00:00Z\nreason = "key-compromise"'},
                of(2, "alice", "bob"),
            )
        ),
        "is revoked: key-compromise",
        forge=co_signed(BOB),
    )


def _two_of_three() -> Iterator[Case]:
    three = Trust(policy=policy({"alice": "", "bob": "", "carol": ""}, of(2, "alice", "bob", "carol")))
    yield _keyed(
        "two-of-three-by-one",
        "signed alone where two of three must",
        three,
        "asks for 2, 1 counted",
    )
    yield _keyed(
        "two-of-three",
        "had one of two colleagues sign the same payloads",
        three,
        "",
        exit_code=0,
        refused_by="",
        forge=co_signed(CAROL),
    )


def _forge_co_signature(bundle: Path) -> None:
    path = bundle / co_signature(RESULT, BOB.public.key_hex)
    value = signed_envelope(payload_of(bundle, RESULT), MALLORY)
    value["verificationMaterial"]["publicKey"]["hint"] = BOB.public.fingerprint
    value["dsseEnvelope"]["signatures"][0]["keyid"] = BOB.public.fingerprint
    put_envelope(bundle, str(path.relative_to(bundle)), value)


def _alice(more: str, **rules: Any) -> Trust:
    """Return the policy that knows alice, on these terms."""
    return Trust(policy=policy({"alice": more}, **rules))


def _policies() -> Iterator[Case]:
    yield _case(
        "policy-expired",
        "was honest, but the policy has expired",
        Trust(policy=policy(head="version = 1\nexpires = 2020-01-01T00:00:00Z")),
        "expired on",
    )
    yield _case(
        "policy-without-rules", "was honest, but no rule allows anything", _alice("", rules={}), "has no rule"
    )
    yield _case(
        "policy-without-a-rule-for-results",
        "was honest, but no rule allows results",
        _alice("", rules={"lock": 'threshold = 1\nfrom = ["alice"]'}),
        "has no rule for `result`",
    )
    yield _case(
        "policy-without-a-rule-for-locks",
        "was honest, but no rule allows locks",
        _alice("", rules={"result": 'threshold = 1\nfrom = ["alice"]'}),
        "has no rule for `lock`",
        refused_by="trust:lock",
    )


def _key_terms() -> Iterator[Case]:
    yield _case(
        "key-of-another-role",
        "was honest, but the key may only sign locks",
        _alice('roles = ["lock"]'),
        "does not have the role `result`",
    )
    yield _case(
        "key-not-yet-valid",
        "was honest, but the key is not valid yet",
        _alice("valid-from = 2098-01-01T00:00:00Z"),
        "is not valid before",
    )
    yield _case(
        "key-no-longer-valid",
        "was honest, but the key is no longer valid",
        _alice("valid-until = 2026-01-01T00:00:00Z"),
        "was valid until",
    )
    yield _case(
        "key-compromised",
        "was honest perhaps, but the key was stolen later",
        _alice('revoked-from = 2098-01-01T00:00:00Z\nreason = "key-compromise"'),
        "revoked: key-compromise",
    )
    yield _case(
        "key-superseded",
        "was honest, but the key was superseded and nobody proves when it signed",
        _alice('revoked-from = 2026-06-01T00:00:00Z\nreason = "superseded"'),
        "is revoked since",
    )
    yield _case(
        "key-for-another-builder",
        "was honest, but the key may sign for another builder alone",
        _alice('builders = ["https://example.org/gpu-07"]'),
        "may not sign for the builder",
    )


def _rules() -> Iterator[Case]:
    yield _case(
        "rule-for-another-predicate",
        "was honest, but the rule allows another predicate alone",
        _alice(
            "",
            rules={
                **of(1, "alice"),
                "result": 'threshold = 1\nfrom = ["alice"]\npredicate = ["https://example.org/other"]',
            },
        ),
        "does not allow",
    )


def _versions() -> Iterator[Case]:
    yield _case(
        "policy-rolled-back",
        "put an older policy in the place of the one that was seen here",
        Trust(
            home={
                "trust.toml": policy(head="version = 6\nexpires = 2099-01-01T00:00:00Z"),
                "policies/home.toml": policy(head="version = 7\nexpires = 2099-01-01T00:00:00Z"),
            }
        ),
        "version 7 was seen here before",
        refused_by="policy-rollback",
    )


def _signed_policies() -> Iterator[Case]:
    rooted = {**of(1, "alice"), "root": 'threshold = 1\nfrom = ["alice"]'}
    yield _case(
        "policy-not-signed",
        "put a policy with root keys in place that none of them signed",
        _alice('roles = ["lock", "result", "root"]', rules=rooted),
        "alice did not sign",
        refused_by="policy-not-signed",
    )
    yield _case(
        "policy-no-longer-signed",
        "put a later policy without root keys in the place of a signed one",
        Trust(
            home={
                "trust.toml": policy(head="version = 8\nexpires = 2099-01-01T00:00:00Z"),
                "policies/home.toml": policy(
                    rules=rooted, head="version = 7\nexpires = 2099-01-01T00:00:00Z"
                ),
            }
        ),
        "the trust policy was signed before",
        refused_by="policy-downgrade",
    )
    yield _case(
        "policy-of-the-same-version",
        "put other root keys into a signed policy and left its version",
        Trust(
            home={
                "trust.toml": policy(
                    {"mallory": 'roles = ["root"]', "alice": ""},
                    rules={**of(1, "alice"), "root": 'threshold = 1\nfrom = ["mallory"]'},
                    head="version = 7\nexpires = 2099-01-01T00:00:00Z",
                ),
                "policies/home.toml": policy(
                    rules=rooted, head="version = 7\nexpires = 2099-01-01T00:00:00Z"
                ),
            }
        ),
        "there are two trust policies of version 7",
        refused_by="policy-replaced",
    )


def _home() -> Iterator[Case]:
    yield _case(
        "home-policy",
        "was honest, and the home's own policy knows the key",
        Trust(home={"trust.toml": policy()}),
        "",
        exit_code=0,
        refused_by="",
    )
