"""Lies that a trusted key signed: what does not follow from the rest of a bundle is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launcher.canonical import canonical_bytes
from tests.fakes.forgery import change_json, reseal
from tests.fakes.world import SmallWorld
from tests.verify.verdicts import Forge, refusal


def _result(change: Callable[[Any], None]) -> Forge:
    return lambda bundle: change_json(bundle / "result.json", change)


def _metric(**changes: Any) -> Forge:
    return _result(lambda result: result["metrics"][0].update(changes))


def _fact(name: str, value: Any) -> Forge:
    def change(environment: Any) -> None:
        next(fact for fact in environment["facts"] if fact["name"] == name)["value"] = value

    return lambda bundle: change_json(bundle / "environment.json", change)


def _sbom(change: Callable[[Any], Any]) -> Forge:
    return lambda bundle: change_json(bundle / "sbom.cdx.json", change)


def _probe(**changes: Any) -> Forge:
    def change(environment: Any) -> None:
        probed = next(fact for fact in environment["facts"] if fact["name"] == "probe.run")
        probed["value"][0]["report"].update(changes)

    return lambda bundle: change_json(bundle / "environment.json", change)


def _forget_writes(bundle: Path) -> None:
    def change(environment: Any) -> None:
        probed = next(fact for fact in environment["facts"] if fact["name"] == "probe.run")
        report = probed["value"][0]["report"]
        report["attempts"] = {
            name: answer for name, answer in report["attempts"].items() if not name.startswith("write:")
        }

    change_json(bundle / "environment.json", change)


def _attempts(change: Callable[[list[Any]], Any]) -> Forge:
    def listed(environment: Any) -> None:
        change(next(fact for fact in environment["facts"] if fact["name"] == "launch.attempts")["value"])

    return lambda bundle: change_json(bundle / "environment.json", listed)


def _samples(change: Callable[[list[Any]], list[Any]]) -> Forge:
    def forge(bundle: Path) -> None:
        path = bundle / "samples.jsonl"
        samples = change([json.loads(line) for line in path.read_text().splitlines()])
        path.write_bytes(b"".join(canonical_bytes(sample) + b"\n" for sample in samples))

    return forge


def _right(samples: list[Any]) -> list[Any]:
    return [{**sample, "prediction": sample["target"]} for sample in samples]


LIES: dict[str, tuple[Forge, str]] = {
    "another value": (_metric(value=0.95), "`accuracy` does not follow from the samples"),
    "another interval": (_metric(ci=[0.8, 0.9]), "`accuracy` does not follow from the samples"),
    "another count": (_metric(n=41), "`accuracy` does not follow from the samples"),
    "a verdict of its own": (_metric(verdict="pass"), "`accuracy` does not follow from the samples"),
    "other replicates' values": (_metric(per_replicate=[0.9, 0.91]), "does not follow from the samples"),
    "a whole verdict": (_result(lambda result: result.update(verdict="pass")), "the verdict"),
    "other counts": (_result(lambda result: result["samples"].update(n=41)), "counts of samples"),
    "another table": (_result(lambda result: result["tables"]["confusion"]["counts"][0].reverse()), "tables"),
    "no metric": (_result(lambda result: result.update(metrics=[])), "other metrics"),
    "another lock": (_result(lambda result: result.update(lock="sha256:" + "0" * 64)), "different runs"),
    "another name": (_result(lambda result: result["blueprint"].update(name="a/b")), "different evaluations"),
    "another replicate's seed": (
        _result(lambda result: result["replicates"][1].update(seed=9)),
        "replicates",
    ),
    "a missing replicate": (_result(lambda result: result["replicates"].pop()), "replicates"),
    "a failed replicate": (
        _result(lambda result: result["replicates"][1].update(status="failed", failure="candidate")),
        "replicates",
    ),
    "a replicate that exited badly": (
        _result(lambda result: result["replicates"][1].update(exit_code=3)),
        "one of the replicates",
    ),
    "a score of a failed run": (
        _result(lambda result: result.update(status="failed", failure="candidate")),
        "a failed run has samples or a score",
    ),
    "samples of a failed run": (
        _result(lambda result: result.update(status="failed", failure="candidate", metrics=[], tables={})),
        "a failed run has samples or a score",
    ),
    "an unknown field": (_result(lambda result: result.update(more=1)), "`result.json`"),
    "right answers": (_samples(_right), "does not follow from the samples"),
    "one sample less": (_samples(lambda samples: samples[1:]), "every replicate answers the same items"),
    "samples in another order": (_samples(lambda samples: samples[::-1]), "out of order"),
    "a sample twice": (_samples(lambda samples: [samples[0], *samples]), "out of order or stands twice"),
    "samples of another seed": (
        _samples(lambda samples: [{**sample, "seed": 9} for sample in samples]),
        "seed",
    ),
    "samples that are no JSON": (
        lambda bundle: (bundle / "samples.jsonl").write_bytes(b"{\n"),  # type: ignore[dict-item]
        "`samples.jsonl`",
    ),
    "another blueprint": (
        lambda bundle: (bundle / "blueprint.toml").write_bytes(  # type: ignore[dict-item]
            (bundle / "blueprint.toml").read_bytes() + b"\n"
        ),
        "`blueprint.toml` is not the text inside `lock.json`",
    ),
    "a lock of another commit": (
        lambda bundle: change_json(
            bundle / "lock.json", lambda lock: lock["identity"]["code"].update(commit="0" * 40)
        ),
        "code differ",
    ),
    "a lock of another input": (
        lambda bundle: change_json(
            bundle / "lock.json", lambda lock: lock["identity"]["inputs"][0].update(sha256="0" * 64)
        ),
        "other bytes of `items`",
    ),
    "a lock of another platform": (
        lambda bundle: change_json(
            bundle / "lock.json", lambda lock: lock["identity"]["image"].update(platform="linux/arm64")
        ),
        "another image than its blueprint names",
    ),
    "a lock of an index that nobody named": (
        lambda bundle: change_json(
            bundle / "lock.json", lambda lock: lock["identity"]["image"].update(index="sha256:" + "0" * 64)
        ),
        "another image than its blueprint names",
    ),
    "a lock of an impossible size": (
        lambda bundle: change_json(
            bundle / "lock.json", lambda lock: lock["identity"]["inputs"][0].update(size=-1)
        ),
        "does not pin image, code and inputs",
    ),
    "an environment of another image": (_fact("image.manifest", "sha256:" + "0" * 64), "`image.manifest`"),
    "an environment of another sandbox": (
        _fact("sandbox.profile", {"network": "egress"}),
        "`sandbox.profile`",
    ),
    "an environment without a fact": (
        lambda bundle: change_json(bundle / "environment.json", lambda it: it.update(facts=[])),
        "`image.manifest` differs",
    ),
    "an environment that is no list of facts": (
        lambda bundle: (bundle / "environment.json").write_bytes(b"{}\n"),  # type: ignore[dict-item]
        "`environment.json` is not a list of facts",
    ),
    "a sandbox that was not probed": (
        _fact("probe.run", []),
        "not every container of the phase `run` was probed",
    ),
    "a probe that found more than the profile allows": (
        _probe(**{"no-new-privileges": False}),
        "weaker than its profile: privileges",
    ),
    "a probe of a network": (_probe(interfaces=["lo", "eth0"]), "weaker than its profile: interfaces"),
    "a probe that does not say": (_probe(attempts={}), "the report does not say"),
    "a probe that tried to write nowhere": (_forget_writes, "writes: the report does not say"),
    "a replicate of another attempt than the environment says": (
        _attempts(lambda listed: listed[-1]["replicates"][0].update(replicate=7)),
        "is said to be of two attempts",
    ),
    "attempts that came later": (
        _attempts(lambda listed: listed.append({**listed[-1], "attempt": 9, "replicates": []})),
        "the attempts are not those up to this one",
    ),
    "another invocation": (
        _attempts(lambda listed: listed[-1].update(invocation_id="00")),
        "the attempts are not those up to this one",
    ),
    "attempts that are none": (_fact("launch.attempts", [7]), "the attempts are malformed"),
    "an environment that swells when it is read": (
        _fact("launch.attempts", [[]] * 250_001),
        "`environment.json` holds more than 500000 values",
    ),
    "a probe of another form": (_probe(more=1), "a report of the probe is malformed"),
    "a probe that is no list": (_fact("probe.run", 7), "the probe's reports are malformed"),
    "an inventory of another image": (
        _sbom(lambda it: it["metadata"]["component"].update(version="sha256:" + "0" * 64)),
        "it is of another image",
    ),
    "an inventory that is none": (
        lambda bundle: (bundle / "sbom.cdx.json").write_bytes(b"{}\n"),  # type: ignore[dict-item]
        "it is not CycloneDX 1.6",
    ),
    "an inventory with another serial number": (
        _sbom(lambda it: it.update(serialNumber="urn:uuid:0")),
        "its serial number is of another image",
    ),
    "an inventory that calls complete what it does not list": (
        _sbom(
            lambda it: it["compositions"].append({"aggregate": "complete", "dependencies": ["packages:rpm"]})
        ),
        "it refers to what it does not list",
    ),
    "an inventory with a package of no layer": (
        _sbom(
            lambda it: it.update(
                components=[
                    {
                        "bom-ref": "pkg:x/y",
                        "type": "library",
                        "name": "y",
                        "purl": "pkg:x/y",
                        "properties": [],
                    }
                ]
            )
        ),
        "is of no layer of the image",
    ),
    "a lock with a field more": (
        lambda bundle: change_json(bundle / "lock.json", lambda lock: lock["identity"].update(more=1)),
        "more differ",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_that_a_trusted_key_signed(shared: SmallWorld, bundle: Path, lie: str) -> None:
    forge, reason = LIES[lie]
    forge(bundle)
    reseal(bundle, shared.signer)
    assert reason in refusal(shared, bundle)


def test_claims_that_differ_from_the_result_are_refused(shared: SmallWorld, bundle: Path) -> None:
    reseal(bundle, shared.signer, result=lambda claims: claims["claims"][0].update(value="0.99"))
    assert "does not say what `result.json` says" in refusal(shared, bundle)


def _forget_input(provenance: Any) -> None:
    provenance["buildDefinition"]["resolvedDependencies"].pop()


def _other_image(provenance: Any) -> None:
    provenance["buildDefinition"]["resolvedDependencies"][0]["digest"]["sha256"] = "0" * 64


def _other_place(provenance: Any) -> None:
    provenance["buildDefinition"]["resolvedDependencies"][-1]["uri"] = "https://example.org/other"


@pytest.mark.parametrize("change", [_forget_input, _other_image, _other_place])
def test_provenance_of_other_inputs_than_the_lock_pins_is_refused(
    shared: SmallWorld, bundle: Path, change: Callable[[Any], None]
) -> None:
    reseal(bundle, shared.signer, provenance=change)
    assert "other inputs than the lock pins" in refusal(shared, bundle)


def test_provenance_of_another_runtime_than_was_observed_is_refused(shared: SmallWorld, bundle: Path) -> None:
    reseal(
        bundle,
        shared.signer,
        provenance=lambda it: it["buildDefinition"]["internalParameters"].update(runtime="runsc"),
    )
    assert "is not what was asked for and signed" in refusal(shared, bundle)
