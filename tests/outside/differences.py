"""Lies to put to two verifiers: one place of one record of an honest bundle changed, and signed again."""

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from launcher.canonical import canonical_bytes
from launcher.errors import EvalctlError
from launcher.spec.lock import identity_of, pins_from
from launcher.spec.reading import read_blueprint
from launcher.trust.keys import Signer
from tests.fakes.forgery import relocked, reseal
from tests.spec.test_record_schemas import VALUES, changed, places

MORE: tuple[Any, ...] = (
    *(10**15, 2**53 - 1, 2**53, 1e21, 1e-7, 5e-324, "\u00e9", "\U0001f600", "\u2028", "\x7f", " ", "1", "-1"),
    *("sha256:" + "0" * 64, "2026-11-20T11:00:00Z", "run", "runsc", "engine", "ok", [{}], [[]], {"a": {}}),
)
DOCUMENTS = ("result.json", "lock.json", "environment.json", "sbom.cdx.json")
LINES = ("samples.jsonl", "events.jsonl", "resources.jsonl", "commitments.jsonl", "openings.jsonl")
STATEMENTS = ("provenance", "result", "lock")
KINDS = (*DOCUMENTS, *LINES, *STATEMENTS, "identity", "blueprint.toml")
# What a text of TOML may be changed by: words for others.
WORDS = (
    *(
        ("[run]", '[resources]\nmemory = "4GiB"\ntmp = "5GiB"\n[run]'),
        ("[run]", "[resources]\ncpus = 0\n[run]"),
    ),
    *(("[run]", "[resources.gpu]\ncount = 2\n[run]"), ("[run]", "[config]\na = 1.5\n[run]")),
    *(("[run]", '[config]\n"$a" = 1\n[run]'), ("[run]", '[score]\ncommand = ["x"]\n[run]')),
    *(("[run]", '[matrix]\naxes = { "run.seeds" = [[1], [2]] }\n[run]'), ("[run]", "[extra]\n[run]")),
    *(('["answer"]', "[]"), ('["answer"]', '["a", "b"]'), ("seeds =", "timeout = '1h30m'\nseeds =")),
    *(("seeds =", "timeout = '367d'\nseeds ="), ("seeds =", "resumable = true\nseeds =")),
    *(("[sandbox]", "[sandbox]\nruntime = 'runsc'"), ("[sandbox]", "[sandbox]\nsecrets = ['A', 'A']")),
    *(("[sandbox]", "[sandbox]\nallow = ['numa']"), ("[sandbox]", "[sandbox]\nallow-hosts = ['a.example']")),
    *(
        ("1.0.0", "01.0.0"),
        ("linux", "Linux"),
        ("https:", "ftp:"),
        ("https:", "https:/"),
        ("accuracy@1", "x@1"),
    ),
    *(("accuracy@1", "code:a.py"), ('name = "accuracy"', 'name = "accuracy"\nci = { level = 1.0 }')),
    *(('name = "accuracy"', 'name = "accuracy"\nci = { method = "student" }'), ("\n", "\r\n"), ("=", "= ")),
    *(('name = "accuracy"', 'name = "accuracy"\nparameters = { resamples = 100 }'), ("{", "{\n")),
    *(('name = "accuracy"', 'name = "accuracy"\nreproduce = { abs = -1 }'), ("acme/", "acme/\\u0041")),
)


def lie(bundle: Path, kind: str, signer: Signer, chance: Random) -> object:
    """Change something of the kind in a bundle, sign it again, and return what was changed, if anything."""
    statements: dict[str, Callable[[Any], None]] = {}
    path, told = bundle / kind, list[object]()
    if kind in STATEMENTS:
        statements = {kind: lambda predicate: told.append(_change_inside(predicate, chance))}
    elif kind in ("identity", "blueprint.toml"):
        told, statements = _relock(bundle, chance, is_text=kind != "identity")
    elif not path.is_file():
        return None
    elif kind in LINES:
        lines = path.read_bytes().splitlines(keepends=True)
        told = [_change_lines(lines, chance)] if lines else []
        path.write_bytes(b"".join(lines))
    else:
        document = json.loads(path.read_bytes())
        told = [_change_inside(document, chance)]
        path.write_bytes(canonical_bytes(document) + (b"\n" if kind != "lock.json" else b""))
    reseal(bundle, signer, **statements)
    return told[0] if told else None


def _relock(bundle: Path, chance: Random, *, is_text: bool) -> tuple[list[object], Mapping[str, Any]]:
    """Change the blueprint or the identity, and name the lock as it is then in every statement."""
    lock = json.loads((bundle / "lock.json").read_bytes())
    if lock["schema"] != "evalctl/lock/v1":
        return [], {}
    if is_text:
        old, new = chance.choice(WORDS)
        told: object = (old, new)
        lock["blueprint"] = lock["blueprint"].replace(old, new, 1)
        (bundle / "blueprint.toml").write_text(lock["blueprint"], newline="")
        try:
            blueprint = read_blueprint(lock["blueprint"].encode(), file="it", supported_only=False)
            lock["identity"] = identity_of(blueprint, pins_from(lock["identity"]))
        except EvalctlError:
            pass
    else:
        told = _change_inside(lock["identity"], chance)
    (bundle / "lock.json").write_bytes(canonical_bytes(lock))
    return [told], relocked(bundle)


def _change_lines(lines: list[bytes], chance: Random) -> object:
    place, how = chance.randrange(len(lines)), chance.random()
    if how < 0.7:
        document = json.loads(lines[place])
        told = _change_inside(document, chance)
        lines[place] = canonical_bytes(document) + b"\n"
        return place, told
    if how < 0.8:
        lines.append(lines[place])
    elif how < 0.9:
        del lines[place]
    else:
        other = chance.randrange(len(lines))
        lines[place], lines[other] = lines[other], lines[place]
    return place, how


def _change_inside(document: Any, chance: Random) -> object:
    """Change one place of an object, and return which and how."""
    inside = [path for path in places(document) if path]
    path, how = chance.choice(inside), chance.choice(["replace", "remove", "add", "another's", "near"])
    value: Any = chance.choice((*VALUES, *MORE))
    if how == "another's":
        how, value = "replace", copy.deepcopy(_at(document, chance.choice(inside)))
    elif how == "near":
        how, value = "replace", _near(_at(document, path), chance)
    mutant = changed(document, path, how, value)
    document.clear()
    document.update(mutant)
    return path, how, str(value)[:80]


def _at(document: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


def _near(value: Any, chance: Random) -> Any:
    """Return a value that is nearly the same."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + chance.choice([1, -1])
    if isinstance(value, float):
        return value * (1 + chance.choice([1e-9, 1e-13, -1e-5]))
    if isinstance(value, str):
        place = chance.randrange(len(value) + 1)
        return value[:place] + chance.choice(["", "x", "0", " ", "/"]) + value[place + chance.randrange(2) :]
    return [*value, *value[:1]] if isinstance(value, list) else {}
