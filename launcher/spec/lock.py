"""The lock: everything that decides a result, pinned, and the one digest that names the run.

`identity_of` is a pure function of a blueprint and of the facts only a resolution can know (`Pins`). A
verifier takes the pins out of a lock, applies it to the blueprint inside and must get the same identity.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from msgspec import Struct, to_builtins

from launcher.canonical import canonical_bytes, freeze, parse_json
from launcher.digest import digest_of, is_digest, is_sha256_hex
from launcher.errors import MalformedError
from launcher.spec.blueprint import Blueprint, Input, Metric, Score
from launcher.spec.image import ImagePins
from launcher.spec.sandbox import profile_for

SCHEMA = "evalctl/lock/v1"
MAX_BYTES = 4 << 20


class CodePins(Struct, frozen=True):
    """The commit's git tree id, the digest of its files' bytes, and those of the named lock files.

    `content` is the hex SHA-256 of the lines `MODE SHA256  PATH` of all files, sorted by path bytes.
    """

    tree: str
    content: str
    lockfiles: Mapping[str, str]


class Pins(Struct, frozen=True):
    """What only a resolution can know: image, code tree, and the size of each input in bytes."""

    image: ImagePins
    code: CodePins
    sizes: Mapping[str, int]


class Lock(Struct, frozen=True, dict=True):
    """A resolved blueprint: `identity` decides the result, `blueprint` is the TOML it came from."""

    identity: Mapping[str, Any]
    blueprint: str

    @cached_property
    def digest(self) -> str:
        """The run's identity: `sha256:<hex>` of the RFC 8785 bytes of `identity`."""
        return digest_of(canonical_bytes(self.identity))

    @cached_property
    def data(self) -> bytes:
        """The bytes of `lock.json`."""
        return canonical_bytes({"schema": SCHEMA, "identity": self.identity, "blueprint": self.blueprint})


def make_lock(blueprint: Blueprint, pins: Pins) -> Lock:
    """Return the lock of `blueprint` under `pins`."""
    return Lock(identity_of(blueprint, pins), blueprint.text)


def read_lock(data: bytes, *, what: str = "lock") -> Lock:
    """Read `lock.json` strictly: only its canonical bytes are a lock.

    Raises `MalformedError` for anything else.
    """
    if len(data) > MAX_BYTES:
        raise _malformed(f"{what} is larger than {MAX_BYTES} bytes")
    value = parse_json(data, what=what)
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise _malformed(f"{what} is not a lock of schema `{SCHEMA}`")
    if set(value) != {"schema", "identity", "blueprint"}:
        raise _malformed(f"{what} must hold exactly `schema`, `identity` and `blueprint`")
    if not isinstance(value["identity"], dict) or not isinstance(value["blueprint"], str):
        raise _malformed(f"{what} has an `identity` or `blueprint` of the wrong type")
    lock = Lock(value["identity"], value["blueprint"])
    if lock.data != data:
        raise _malformed(f"{what} is not in canonical form (RFC 8785)")
    return lock


def identity_of(blueprint: Blueprint, pins: Pins) -> dict[str, Any]:
    """Return everything that decides the result, as float-free JSON without time, host, path or uri."""
    return {
        "name": blueprint.about.name,
        "version": blueprint.about.version,
        "image": {
            "index": pins.image.index,
            "manifest": pins.image.manifest,
            "config": pins.image.config,
            "diff_ids": list(pins.image.diff_ids),
            "platform": pins.image.platform,
        },
        "code": {
            "commit": blueprint.code.commit,
            "path": blueprint.code.path,
            "tree": pins.code.tree,
            "content": pins.code.content,
            "lockfiles": {path: pins.code.lockfiles[path] for path in blueprint.code.lockfiles},
        },
        "inputs": [_input(item, pins.sizes[item.name]) for item in blueprint.inputs],
        "config": freeze(blueprint.config),
        "run": {
            "command": list(blueprint.run.command),
            "env": dict(blueprint.run.env),
            "seeds": list(blueprint.run.seeds),
            "timeout": blueprint.run.timeout,
            "determinism": blueprint.run.determinism,
            "format": blueprint.run.format,
            "resumable": blueprint.run.resumable,
        },
        "score": _score(blueprint.score),
        "metrics": [_metric(metric) for metric in blueprint.metrics],
        "resources": freeze(to_builtins(blueprint.resources)),
        "sandbox": profile_for(blueprint.resources, blueprint.sandbox).as_identity(),
        "redactable": blueprint.redactable,
    }


def pins_from(identity: Mapping[str, Any]) -> Pins:
    """Take the pins out of a lock's `identity`; raises `MalformedError` where they are not well-formed."""
    try:
        image, code = identity["image"], identity["code"]
        pins = Pins(
            ImagePins(
                index=image["index"],
                manifest=image["manifest"],
                config=image["config"],
                diff_ids=tuple(image["diff_ids"]),
                platform=image["platform"],
            ),
            CodePins(code["tree"], code["content"], dict(code["lockfiles"])),
            {item["name"]: item["size"] for item in identity["inputs"]},
        )
        _check_pins(pins)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _malformed("the lock's `identity` does not pin image, code and inputs") from error
    return pins


def _check_pins(pins: Pins) -> None:
    digests = [pins.image.manifest, pins.image.config, *pins.image.diff_ids]
    if pins.image.index is not None:
        digests.append(pins.image.index)
    if not all(map(is_digest, digests)):
        raise ValueError("image digests")
    if not all(map(is_sha256_hex, [pins.code.content, *pins.code.lockfiles.values()])):
        raise ValueError("code digests")
    sizes = pins.sizes.values()
    if not isinstance(pins.code.tree, str) or not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError("tree or sizes")


def check_lock(lock: Lock, blueprint: Blueprint) -> None:
    """Raise `MalformedError` unless `lock` is what its own `blueprint` and pins give."""
    pins = pins_from(lock.identity)
    names = {item.name for item in blueprint.inputs}
    same_files = set(pins.code.lockfiles) == set(blueprint.code.lockfiles)
    if set(pins.sizes) != names or not same_files or not _pins_image(blueprint, pins):
        raise _malformed("the lock pins other inputs, lock files or another image than its blueprint names")
    if any(item.size not in (None, pins.sizes[item.name]) for item in blueprint.inputs):
        raise _malformed("the lock pins another size of an input than its blueprint states")
    expected = identity_of(blueprint, pins)
    if expected != lock.identity:
        keys = sorted(
            key for key in {*expected, *lock.identity} if expected.get(key) != lock.identity.get(key)
        )
        raise _malformed(f"the lock's identity is not its blueprint's: {', '.join(keys)} differ")


def _pins_image(blueprint: Blueprint, pins: Pins) -> bool:
    """Say whether the pins can be of the blueprint's digest: an index's, or else the manifest's own."""
    named = pins.image.manifest if pins.image.index is None else pins.image.index
    return (blueprint.image.digest, blueprint.image.platform) == (named, pins.image.platform)


def _input(item: Input, size: int) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "name": item.name,
        "sha256": item.sha256,
        "size": size,
        "unpack": item.unpack,
        "role": item.role,
        "split": item.split,
        "variant_of": item.variant_of,
    }


def _score(score: Score | None) -> dict[str, Any] | None:
    if score is None:
        return None
    if score.labels is not None:
        return {"labels": score.labels}
    return {
        "command": list(score.command),
        "timeout": score.timeout,
        "env": dict(score.env),
        "resources": freeze(to_builtins(score.resources)),
    }


def _metric(metric: Metric) -> dict[str, Any]:
    published = metric.published
    return {
        "name": metric.name,
        "definition": metric.definition,
        "of": metric.of,
        "where": freeze(metric.where),
        "parameters": freeze(metric.parameters),
        "primary": metric.primary,
        "direction": metric.direction,
        "ci": freeze(to_builtins(metric.ci)),
        "threshold": freeze(to_builtins(metric.threshold)) if metric.threshold else None,
        "published": freeze({"value": published.value, "decimals": published.decimals})
        if published
        else None,
        "reproduce": freeze(to_builtins(metric.reproduce)) if metric.reproduce else None,
    }


def _malformed(message: str) -> MalformedError:
    return MalformedError(
        message, code="malformed-lock", hint="write it anew with `evalctl resolve BLUEPRINT`"
    )
