"""The lock: everything that decides a result, pinned, and the one digest that names the run.

`identity_of` is a pure function of a blueprint and of the facts only a resolution can know (`Pins`). A
verifier takes the pins out of a lock, applies it to the blueprint inside and must get the same identity.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from msgspec import Struct, field, to_builtins

from launcher.canonical import canonical_bytes, freeze, parse_json
from launcher.digest import digest_of, is_digest, is_sha256_hex
from launcher.errors import MalformedError
from launcher.spec.blueprint import Blueprint, Input, Metric
from launcher.spec.image import ImagePins
from launcher.spec.predicates import Mark
from launcher.spec.sandbox import profile_for, profile_of_run
from launcher.spec.services import service_image, services_identity

SCHEMA = "evalctl/lock/v1"
MAX_BYTES = 4 << 20


class CodePins(Struct, frozen=True):
    """The commit's git tree id, the digest of its files' bytes, and those of the named lock files.

    `content` is the hex SHA-256 of the lines `MODE SHA256  PATH` of all files, sorted by path bytes.
    """

    tree: str
    content: str
    lockfiles: Mapping[str, str]


class InputPin(Struct, frozen=True):
    """What was fetched for an input: hex digest and bytes; `tree` where it was a folder.

    The digest is the blueprint's, except where a model slot was filled with another.
    """

    sha256: str
    size: int
    tree: bool = False


class Pins(Struct, frozen=True):
    """What only a resolution can know: image, code tree, inputs by name.

    `limit` is the number of items that a partial run keeps, `patch` the hex SHA-256 of a draft's changes to
    the commit, `predictions` the tree digest of what each replicate left in the run that is scored again.
    `services` are the images of the services by name, `egress` says that hosts outside may be asked.
    """

    image: ImagePins
    code: CodePins
    inputs: Mapping[str, InputPin]
    limit: int | None = None
    patch: str | None = None
    predictions: tuple[str, ...] | None = None
    services: Mapping[str, ImagePins] = field(default_factory=dict)
    egress: bool = False

    @property
    def marks(self) -> tuple[Mark, ...]:
        """How a run under these pins falls short of a whole one."""
        given: tuple[tuple[Mark, object], ...] = (
            ("partial", self.limit),
            ("draft", self.patch),
            ("score-only", self.predictions),
            ("not-re-runnable", self.egress or None),
        )
        return tuple(mark for mark, value in given if value is not None)


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
    if isinstance(value, dict) and value.get("schema") == "evalctl/imported/v1":
        raise _malformed(f"{what} was imported from foreign logs: it names nothing that could be launched")
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
    """Return everything that decides the result, as float-free JSON without time, host, path or uri.

    What marks a run as less than a whole one is there only where it is.
    """
    return {
        "name": blueprint.about.name,
        "version": blueprint.about.version,
        "image": pins.image.as_identity(),
        "code": {
            "commit": blueprint.code.commit,
            "path": blueprint.code.path,
            "tree": pins.code.tree,
            "content": pins.code.content,
            "lockfiles": {path: pins.code.lockfiles[path] for path in blueprint.code.lockfiles},
        },
        "inputs": [_input(item, pins.inputs[item.name]) for item in blueprint.inputs],
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
        "score": _score(blueprint),
        "metrics": [_metric(metric) for metric in blueprint.metrics],
        "resources": freeze(to_builtins(blueprint.resources)),
        "sandbox": profile_of_run(blueprint).as_identity(),
        "redactable": blueprint.redactable,
        **services_identity(blueprint, pins.services),
        **_shortcomings(pins),
    }


def _shortcomings(pins: Pins) -> dict[str, Any]:
    found: dict[str, Any] = {"limit": pins.limit, "patch": pins.patch}
    if pins.predictions is not None:
        found["predictions"] = list(pins.predictions)
    return {name: value for name, value in found.items() if value is not None}


def pins_from(identity: Mapping[str, Any]) -> Pins:
    """Take the pins out of a lock's `identity`; raises `MalformedError` where they are not well-formed."""
    try:
        code = identity["code"]
        pins = Pins(
            _image_pins(identity["image"]),
            CodePins(code["tree"], code["content"], dict(code["lockfiles"])),
            {
                item["name"]: InputPin(item["sha256"], item["size"], item.get("tree", False))
                for item in identity["inputs"]
            },
            identity.get("limit"),
            identity.get("patch"),
            tuple(identity["predictions"]) if "predictions" in identity else None,
            {item["name"]: _image_pins(item["image"]) for item in identity.get("services", ())},
            identity["sandbox"].get("network") == "egress",
        )
        _check_pins(pins)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _malformed("the lock's `identity` does not pin image, code and inputs") from error
    return pins


def _image_pins(image: Mapping[str, Any]) -> ImagePins:
    return ImagePins(
        index=image["index"],
        manifest=image["manifest"],
        config=image["config"],
        diff_ids=tuple(image["diff_ids"]),
        platform=image["platform"],
    )


def _check_pins(pins: Pins) -> None:
    for image in (pins.image, *pins.services.values()):
        index = () if image.index is None else (image.index,)
        digests = [image.manifest, image.config, *image.diff_ids, *index]
        if not all(map(is_digest, digests)):
            raise ValueError("image digests")
    if not all(map(is_sha256_hex, [pins.code.content, *pins.code.lockfiles.values()])):
        raise ValueError("code digests")
    if not isinstance(pins.code.tree, str) or not all(map(_is_input_pin, pins.inputs.values())):
        raise ValueError("tree or inputs")
    if pins.limit is not None and not (type(pins.limit) is int and pins.limit > 0):
        raise ValueError("limit")
    if not all(map(is_sha256_hex, [*(pins.predictions or ()), *([pins.patch] if pins.patch else [])])):
        raise ValueError("patch or predictions")


def _is_input_pin(pin: InputPin) -> bool:
    well_typed = type(pin.size) is int and pin.size >= 0 and type(pin.tree) is bool
    return well_typed and is_sha256_hex(pin.sha256)


def check_lock(lock: Lock, blueprint: Blueprint) -> None:
    """Raise `MalformedError` unless `lock` is what its own `blueprint` and pins give."""
    pins = pins_from(lock.identity)
    names = {item.name for item in blueprint.inputs}
    same_files = set(pins.code.lockfiles) == set(blueprint.code.lockfiles)
    if set(pins.inputs) != names or not same_files or not _pins_image(blueprint, pins):
        raise _malformed("the lock pins other inputs, lock files or another image than its blueprint names")
    for item in blueprint.inputs:
        _check_input(item, pins.inputs[item.name])
    if pins.predictions is not None and (
        blueprint.score is None or len(pins.predictions) != len(blueprint.run.seeds)
    ):
        raise _malformed("the lock pins predictions that its blueprint does not score")
    expected = identity_of(blueprint, pins)
    # Bytes, not values: to Python 1 and true are equal.
    if canonical_bytes(expected) != canonical_bytes(lock.identity):
        keys = sorted(
            key for key in {*expected, *lock.identity} if expected.get(key) != lock.identity.get(key)
        )
        raise _malformed(f"the lock's identity is not its blueprint's: {', '.join(keys)} differ")


def _check_input(item: Input, pin: InputPin) -> None:
    if pin.sha256 != item.sha256:
        if item.slot is None:
            raise _malformed(
                f"the lock pins other bytes of `{item.name}` than its blueprint, which has no slot"
            )
    elif item.size not in (None, pin.size):
        raise _malformed(f"the lock pins another size of `{item.name}` than its blueprint states")


def _pins_image(blueprint: Blueprint, pins: Pins) -> bool:
    """Say whether the pins can be of the blueprint's digests: an index's, or else the manifest's own."""
    wanted = [blueprint.image, *(service_image(service, blueprint) for service in blueprint.services)]
    names = [service.name for service in blueprint.services]
    if set(pins.services) != set(names):
        return False
    found = [pins.image, *(pins.services[name] for name in names)]
    return [(image.digest, image.platform) for image in wanted] == [
        (image.named, image.platform) for image in found
    ]


def _input(item: Input, pin: InputPin) -> dict[str, Any]:
    described = {
        "kind": item.kind,
        "name": item.name,
        "sha256": pin.sha256,
        "size": pin.size,
        "unpack": item.unpack,
        "role": item.role,
        "split": item.split,
        "variant_of": item.variant_of,
    }
    return described | {"tree": True} if pin.tree else described


def _score(blueprint: Blueprint) -> dict[str, Any] | None:
    score = blueprint.score
    if score is None:
        return None
    if score.labels is not None:
        return {"labels": score.labels}
    return {
        "command": list(score.command),
        "timeout": score.timeout,
        "env": dict(score.env),
        "resources": freeze(to_builtins(score.resources)),
        "sandbox": profile_for(score.resources, blueprint.sandbox).as_identity(),
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
