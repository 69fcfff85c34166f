"""Lies about the environment that a trusted key signed: what ran, in which sandbox, and what probed it."""

from collections.abc import Callable, Iterator
from typing import Any

from launcher.spec import bundle as names
from launcher.spec.sandbox import under_runtime
from tests.bundles.case import Case, Forge, Row, rows
from tests.bundles.forging import (
    fact,
    facts,
    json_file,
    new_fact,
    result_file,
    sealed,
    signed_rows,
    write,
)


def cases() -> Iterator[Case]:
    """Yield the lies about environments."""
    yield from rows("lies", "environment", signed_rows(_ENVIRONMENT | _SBOM))
    yield from rows("lies", "probe", signed_rows(_PROBES))


def _probe(**changes: Any) -> Forge:
    def alter(listed: Any) -> Any:
        listed[0]["report"].update(changes)
        return listed

    return fact("probe.run", alter)


def _probed(key: str, **changes: Any) -> Forge:
    def alter(listed: Any) -> Any:
        listed[0]["report"][key].update(changes)
        return listed

    return fact("probe.run", alter)


def _sbom(change: Callable[[Any], Any]) -> Forge:
    return json_file(names.SBOM, change)


def _attempts(change: Callable[[list[Any]], Any]) -> Forge:
    def alter(listed: list[Any]) -> list[Any]:
        change(listed)
        return listed

    return fact("launch.attempts", alter)


_ENVIRONMENT: dict[str, Row] = {
    "attempt-zero": (
        "said attempt 0",
        result_file(lambda it: it.update(attempt=0)),
        "not those up to this one",
    ),
    "environment-of-another-image": (
        "said that another image ran",
        fact("image.manifest", lambda _: "sha256:" + "0" * 64),
        "`image.manifest` differs",
    ),
    "environment-of-other-layers": (
        "said that other layers ran",
        fact("image.diff-ids", lambda _: []),
        "`image.diff-ids` differs",
    ),
    "environment-of-another-sandbox": (
        "said that another sandbox was applied",
        fact("sandbox.profile", lambda it: {**it, "network": "egress"}),
        "`sandbox.profile` differs",
    ),
    "environment-of-a-weaker-filter": (
        "said that another filter of system calls was in force",
        fact("sandbox.profile", lambda it: {**it, "seccomp": "sha256:" + "0" * 64}),
        "`sandbox.profile` differs",
    ),
    "environment-of-another-runtime": (
        "said that another runtime ran than the provenance names",
        fact("sandbox.profile", lambda it: under_runtime(it, "runsc")),
        "is not what was asked for and signed",
    ),
    "environment-of-an-unknown-runtime": (
        "said that a runtime ran that there is not",
        fact("sandbox.profile", lambda it: under_runtime(it, "crun")),
        "is not what was asked for and signed",
    ),
    "environment-without-facts": (
        "said nothing of the environment",
        facts(lambda _: []),
        "`image.manifest` differs",
    ),
    "environment-without-a-sandbox": (
        "said nothing of the sandbox",
        facts(lambda it: [one for one in it if one["name"] != "sandbox.profile"]),
        "`sandbox.profile` differs",
    ),
    "environment-with-a-fact-twice": (
        "said two things of the same",
        new_fact("image.manifest", "sha256:" + "0" * 64, "declared"),
        "not a list of facts",
    ),
    "environment-by-nobody": (
        "said a fact by a source that there is not",
        new_fact("cpu.model", "x", "oracle"),
        "not a list of facts",
    ),
    "environment-that-is-none": (
        "wrote an empty object for the environment",
        write(names.ENVIRONMENT, b"{}\n"),
        "not a list of facts",
    ),
    "environment-of-two-attempts": (
        "said that a replicate is of another attempt",
        _attempts(lambda it: it[-1]["replicates"][0].update(replicate=7)),
        "is said to be of two attempts",
    ),
    "environment-of-later-attempts": (
        "said that attempts came later",
        _attempts(lambda it: it.append({**it[-1], "attempt": 9, "replicates": []})),
        "not those up to this one",
    ),
    "environment-of-another-invocation": (
        "said that another invocation ran",
        _attempts(lambda it: it[-1].update(invocation_id="00")),
        "not those up to this one",
    ),
    "environment-of-malformed-attempts": (
        "wrote attempts that are none",
        _attempts(lambda it: it.append(7)),
        "attempts are malformed",
    ),
    "environment-of-attempts-by-name": (
        "wrote a text for the number of an attempt",
        _attempts(lambda it: it.append({"attempt": "2", "replicates": [], "invocation_id": ""})),
        "attempts are malformed",
    ),
    "environment-of-replicates-in-lists": (
        "wrote a list for the number of a replicate",
        _attempts(lambda it: it[-1]["replicates"].append({"replicate": []})),
        "attempts are malformed",
    ),
    "runtime-of-the-provenance": (
        "signed a provenance of another runtime",
        sealed(provenance=lambda it: it["buildDefinition"]["internalParameters"].update(runtime="runsc")),
        "is not what was asked for and signed",
    ),
}


_WEAKER = "weaker than its profile"
_PROBES: dict[str, Row] = {
    f"probe-{title}": (attack, forge, words)
    for title, (attack, forge, words) in {
        "none": ("said that nothing was probed", fact("probe.run", lambda _: []), "was probed"),
        "of-one-replicate": (
            "said that one of two replicates was probed",
            fact("probe.run", lambda it: [{**it[0], "replicates": [0]}]),
            "was probed",
        ),
        "twice": (
            "said that a replicate was probed twice",
            fact("probe.run", lambda it: [*it, *it]),
            "two reports",
        ),
        "of-a-phase-that-was-none": (
            "told of a probe in a phase that was none",
            new_fact("probe.score", [], "probe"),
            "a probe that never was",
        ),
        "by-declaration": (
            "declared what must be probed",
            facts(
                lambda it: [
                    {**one, "source": "declared"} if one["name"] == "probe.run" else one for one in it
                ]
            ),
            "was probed",
        ),
        "privileges": (
            "hid that the process could gain privileges",
            _probe(**{"no-new-privileges": False}),
            _WEAKER,
        ),
        "no-filter": ("hid that no filter was in force", _probe(seccomp=0), _WEAKER),
        "network": ("hid that there was a network", _probe(interfaces=["lo", "eth0"]), _WEAKER),
        "root": ("hid that the process was root", _probe(user=[0, 0, 0]), _WEAKER),
        "capability": (
            "hid that the process had a capability",
            _probed("capabilities", effective="0000000000000001"),
            _WEAKER,
        ),
        "writable-mount": (
            "hid that the code could be written",
            _probed("mounts", **{"/eval/code": "ext4 rw"}),
            _WEAKER,
        ),
        "written": (
            "hid that inputs could be written",
            _probed("attempts", **{"write:/eval/inputs": "ok"}),
            _WEAKER,
        ),
        "reached": (
            "hid that a host could be reached",
            _probed("attempts", **{"connect:public": "ok"}),
            _WEAKER,
        ),
        "execution": (
            "hid that what is written could be executed",
            _probed("attempts", **{"execute:/tmp": "ok"}),
            _WEAKER,
        ),
        "engine-socket": (
            "hid that the engine's socket was there",
            _probed("visible", **{"/run/docker.sock": 1}),
            _WEAKER,
        ),
        "answer": ("hid that a forbidden system call answers", _probe(answered=["reboot"]), _WEAKER),
        "unbounded": ("hid that a limit was none", _probed("limits", nofile=[None, None]), _WEAKER),
        "silent": ("said nothing of what was attempted", _probe(attempts={}), "does not say"),
        "odd-capability": (
            "wrote a capability that is no number",
            _probed("capabilities", effective="none"),
            "does not say",
        ),
        "field-more": ("added a field to the report", _probe(more=1), "malformed"),
        "field-text": ("wrote a text for a number", _probe(seccomp="2"), "malformed"),
        "number": ("wrote a number for the reports", fact("probe.run", lambda _: 7), "malformed"),
        "text": ("wrote a text for the reports", fact("probe.run", lambda _: "ok"), "malformed"),
        "replicate-text": (
            "wrote a text for a replicate",
            fact("probe.run", lambda it: [{**it[0], "replicates": ["0", "1"]}]),
            "two reports",
        ),
    }.items()
}
_SBOM: dict[str, Row] = {
    f"sbom-{title}": (f"wrote a bill of materials {attack}", forge, words)
    for title, (attack, forge, words) in {
        "of-another-image": (
            "of another image",
            _sbom(lambda it: it["metadata"]["component"].update(version="sha256:" + "0" * 64)),
            "of another image",
        ),
        "with-another-serial-number": (
            "with another serial number",
            _sbom(lambda it: it.update(serialNumber="urn:uuid:0")),
            "serial number",
        ),
        "that-is-none": ("that is none", write(names.SBOM, b"{}\n"), "not CycloneDX 1.6"),
        "of-version-1.5": (
            "of an older form",
            _sbom(lambda it: it.update(specVersion="1.5")),
            "not CycloneDX 1.6",
        ),
        "without-metadata": (
            "that does not say of what",
            _sbom(lambda it: it.pop("metadata")),
            "something is missing",
        ),
        "without-compositions": (
            "that does not say how whole it is",
            _sbom(lambda it: it.pop("compositions")),
            "something is missing",
        ),
        "of-an-unknown-kind": (
            "of an unknown completeness",
            _sbom(lambda it: it["compositions"][0].update(aggregate="all")),
            "unknown kind",
        ),
        "complete-without-a-list": (
            "that calls complete what it does not list",
            _sbom(
                lambda it: it["compositions"].append(
                    {"aggregate": "complete", "dependencies": ["packages:rpm"]}
                )
            ),
            "refers to what it does not list",
        ),
        "with-a-package-of-no-layer": (
            "with a package of no layer",
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
            "is of no layer",
        ),
        "with-components-that-are-numbers": (
            "with numbers for packages",
            _sbom(lambda it: it.update(components=[1])),
            "something is missing",
        ),
        "with-compositions-that-are-a-text": (
            "with a text for its compositions",
            _sbom(lambda it: it.update(compositions="x")),
            "something is missing",
        ),
        "with-a-reference-that-is-a-list": (
            "with a list for a reference",
            _sbom(lambda it: it.update(components=[{"bom-ref": [], "type": "library", "name": "y"}])),
            "no reference of its own",
        ),
        "with-dependencies-that-are-lists": (
            "with lists for what depends on what",
            _sbom(lambda it: it.update(dependencies=[{"ref": ["x"], "dependsOn": [["y"]]}])),
            "something is missing",
        ),
    }.items()
}
