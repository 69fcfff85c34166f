"""Forgeries of encodings: what two readers of JSON, base64 or text would read differently."""

import gzip
import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from launcher.canonical import canonical_bytes
from launcher.spec import bundle as names
from tests.bundles.case import Case, Forge, rows
from tests.bundles.forging import (
    RESULT,
    edit,
    payload,
    payload_of,
    put_envelope,
    replace,
    sealed,
    signed_envelope,
    write,
)

_FORM = "not the canonical form"
Bytes = Callable[[bytes], bytes]


def cases() -> Iterator[Case]:
    """Yield the forgeries of encodings."""
    yield from rows("encodings", "signature:result", dict(_envelopes()) | _BASE64 | dict(_payloads()))
    for name, (label, words) in _WHOLE.items():
        table = {
            f"{label}-{title}": (f"{attack} in `{name}`", sealed(edit(name, change)), words)
            for title, (attack, change) in _REWRITTEN.items()
            # SHA256SUMS is compared, never parsed; and a sample is a line.
            if (label, title) not in (("samples", "pretty"), ("samples", "nothing")) and title != "deeper"
        }
        yield from rows("encodings", _CHECKED_BY.get(name, "contents"), table)
    yield from rows("encodings", "contents", dict(_samples()) | _LOCKS)
    for name, (label, _) in _WHOLE.items():
        attack, change = _REWRITTEN["deeper"]
        row = (f"{attack} in `{name}`", sealed(edit(name, change)), "holds more than")
        if name != names.SAMPLES:
            yield from rows("encodings", "files", {f"{label}-deeper": row})


def _pretty(data: bytes) -> bytes:
    return json.dumps(json.loads(data), indent=1, ensure_ascii=False).encode() + b"\n"


def _doubled(data: bytes) -> bytes:
    """Return an object with its first key twice: some readers keep the first value, some the last."""
    key = next(iter(json.loads(data.splitlines()[0])))
    return data.replace(b"{", b'{"' + key.encode() + b'":null,', 1)


def _doubled_by_escape(data: bytes) -> bytes:
    """Return an object with its first key twice, the first time with its first letter as an escape."""
    key = next(iter(json.loads(data.splitlines()[0])))
    return data.replace(b"{", b'{"\\u%04x%b":null,' % (ord(key[0]), key[1:].encode()), 1)


def _escaped(data: bytes) -> bytes:
    """Return a text with its first letter written as an escape."""
    return data.replace(b'":"', b'":"\\u', 1).replace(
        b"\\u" + data.split(b'":"', 1)[1][:1], b"\\u00%02x" % data.split(b'":"', 1)[1][0], 1
    )


def _before(start: bytes) -> Bytes:
    """Return a change that begins the first object otherwise."""
    return lambda data: data.replace(b"{", start, 1)


def _surrogate(data: bytes) -> bytes:
    return data.replace(b"{", b'{"\\ud800":1,', 1)


# Other spellings of the same JSON, by somebody who may sign them.
_REWRITTEN: dict[str, tuple[str, Bytes]] = {
    "pretty": ("indented the JSON", _pretty),
    "space": ("put a space before the JSON", lambda data: b" " + data),
    "byte-order-mark": ("put a byte order mark", lambda data: b"\xef\xbb\xbf" + data),
    "utf-16": ("wrote UTF-16", lambda data: data.decode().encode("utf-16")),
    "latin-1": ("put a byte that is no UTF-8", _before(b'{"\xe9":1,')),
    "overlong": ("put an overlong form of a slash", _before(b'{"\xc0\xaf":1,')),
    "surrogate-bytes": ("put half a pair of surrogates", _before(b'{"\xed\xa0\x80":1,')),
    "surrogate-escape": ("escaped half a pair of surrogates", _surrogate),
    "escape": ("wrote a letter as an escape", _escaped),
    "duplicate-key": ("wrote a key twice", _doubled),
    "duplicate-key-by-escape": ("wrote a key twice, once with an escape", _doubled_by_escape),
    "duplicate-key-of-escapes": (
        "wrote a key of terminal escapes and marks of direction twice",
        _before('{"\\u001b[31m\\u202e\u202e":1,"\\u001b[31m\\u202e\u202e":1,'.encode()),
    ),
    "carriage-returns": ("ended lines with CR LF", lambda data: data.removesuffix(b"\n") + b"\r\n"),
    "two-line-feeds": ("added a line feed", lambda data: data.removesuffix(b"\n") + b"\n\n"),
    "trailing": ("added a second JSON value", lambda data: data + b"{}"),
    "trailing-nul": ("added a NUL", lambda data: data + b"\0"),
    "comment": ("added a comment", lambda data: data + b"// ok\n"),
    "nan": ("put `NaN`", _before(b'{"":NaN,')),
    "infinity": ("put `-Infinity`", _before(b'{"":-Infinity,')),
    "huge-number": ("put 1e400", _before(b'{"":1e400,')),
    "many-digits": ("put a number of 5,000 digits", _before(b'{"":' + b"9" * 5000 + b",")),
    "big-integer": ("put 2^53", _before(b'{"":9007199254740993,')),
    "whole-float": ("put 1.0", _before(b'{"":1.0,')),
    "minus-zero": ("put -0", _before(b'{"":-0,')),
    "capital-exponent": ("put 1E2", _before(b'{"":1E2,')),
    "leading-zero": ("put 01", _before(b'{"":01,')),
    "trailing-comma": ("put a comma too many", lambda data: data.replace(b"}", b",}", 1)),
    "single-quotes": ("quoted with apostrophes", lambda data: data.replace(b'"', b"'")),
    "deep": ("nested 10,000 lists", _before(b'{"":' + b"[" * 10_000 + b"]" * 10_000 + b",")),
    "deep-and-open": ("opened 100,000 lists", lambda data: b"[" * 100_000),
    "deeper": ("nested 1,000,000 lists", _before(b'{"":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b",")),
    "list": ("wrote a list", lambda data: b"[" + data.strip() + b"]\n"),
    "text": ("wrote a text", lambda data: b'"x"\n'),
    "nothing": ("wrote nothing", lambda data: b""),
    "gzip": ("compressed it", lambda data: gzip.compress(data, mtime=0)),
}
# File, how its cases are called, and what is said of each.
_WHOLE = {
    names.LOCK: ("lock", ""),
    names.RESULT: ("result", ""),
    names.ENVIRONMENT: ("environment", ""),
    names.SBOM: ("sbom", ""),
    names.SAMPLES: ("samples", ""),
}
_CHECKED_BY = {names.ENVIRONMENT: "environment", names.SBOM: "environment"}


def _envelopes() -> Iterator[tuple[str, tuple[str, Forge, str]]]:
    """Yield other bytes for the same attestation: its signature still holds."""
    for title, (attack, change) in _REWRITTEN.items():
        if title not in ("list", "text", "nothing", "trailing-comma", "single-quotes", "carriage-returns"):
            words = "holds more than" if title.startswith("deep") else "malformed: "
            yield f"envelope-{title}", (f"{attack} in an attestation", edit(RESULT, change), words)
    yield (
        "envelope-carriage-returns",
        ("ended an attestation with CR LF", edit(RESULT, _REWRITTEN["carriage-returns"][1]), _FORM),
    )
    yield "envelope-without-line-feed", ("cut an attestation's line feed", edit(RESULT, bytes.strip), _FORM)
    yield (
        "envelope-keys-in-another-order",
        ("sorted an attestation's keys backwards", edit(RESULT, _backwards), _FORM),
    )
    yield "envelope-empty", ("emptied an attestation", write(RESULT, b""), "not JSON")
    yield (
        "envelope-escaped-slash",
        ("escaped the slashes of an attestation", edit(RESULT, lambda it: it.replace(b"/", b"\\/")), _FORM),
    )


def _backwards(data: bytes) -> bytes:
    value = json.loads(data)
    ordered = {key: value[key] for key in sorted(value, reverse=True)}
    return json.dumps(ordered, separators=(",", ":")).encode() + b"\n"


def _spelled(field: str, change: Callable[[str], str]) -> Forge:
    """Return a forgery that spells the base64 of payload or signature otherwise."""

    def forge(bundle: Path) -> None:
        value = signed_envelope(payload_of(bundle, RESULT))
        dsse = value["dsseEnvelope"]
        place = dsse if field == "payload" else dsse["signatures"][0]
        place[field] = change(place[field])
        put_envelope(bundle, RESULT, value)

    return forge


def _url_safe(text: str) -> str:
    return urlsafe_b64encode(b64decode(text)).decode()


def _other_bits(text: str) -> str:
    """Return the same bytes in the base64 whose left-over bits are not zero."""
    body = text.rstrip("=")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return body[:-1] + alphabet[alphabet.index(body[-1]) + 1] + "=" * (len(text) - len(body))


def _object_payload(bundle: Path) -> None:
    value = signed_envelope(payload_of(bundle, RESULT))
    value["dsseEnvelope"]["payload"] = json.loads(payload_of(bundle, RESULT))
    put_envelope(bundle, RESULT, value)


_BASE64 = {
    "base64-signature-url-safe": (
        "wrote the signature in URL-safe base64",
        _spelled("sig", lambda text: _url_safe(text) if _url_safe(text) != text else "-_" + text[2:]),
        "not base64",
    ),
    "base64-payload-unpadded": (
        "left the padding of the payload out",
        _spelled("payload", lambda it: it.rstrip("=") + ("" if it.endswith("=") else "A")),
        "not base64",
    ),
    "base64-signature-unpadded": (
        "left the padding of the signature out",
        _spelled("sig", lambda it: it.rstrip("=")),
        "not base64",
    ),
    "base64-signature-padded-more": (
        "padded the signature more",
        _spelled("sig", lambda it: it + "="),
        "malformed",
    ),
    "base64-signature-other-bits": (
        "set bits of the signature that base64 leaves over",
        _spelled("sig", _other_bits),
        _FORM,
    ),
    "base64-payload-lines": (
        "broke the payload into lines",
        _spelled("payload", lambda it: it[:76] + "\n" + it[76:]),
        "not base64",
    ),
    "base64-payload-space": (
        "put a space into the payload",
        _spelled("payload", lambda it: it[:4] + " " + it[4:]),
        "not base64",
    ),
    "base64-payload-trailing": (
        "added letters behind the payload",
        _spelled("payload", lambda it: it + "AAAA"),
        "does not hold",
    ),
    "base64-payload-not-ascii": (
        "put a letter that is not ASCII into the payload",
        _spelled("payload", lambda it: "\u00e9" + it[1:]),
        "not base64",
    ),
    "base64-payload-object": (
        "gave the payload as JSON, not as base64",
        _object_payload,
        "nested deeper than 5",
    ),
    "base64-twice": (
        "encoded the payload twice",
        _spelled("payload", lambda it: b64encode(it.encode()).decode()),
        "does not hold",
    ),
}


_SAID = {
    "whole-float": "a signed payload",
    "capital-exponent": "a signed payload",
    "deeper": "holds more than",
}


def _payloads() -> Iterator[tuple[str, tuple[str, Forge, str]]]:
    """Yield payloads that the trusted key signed as they are, in a form that two readers could tell apart."""
    for title, (attack, change) in _REWRITTEN.items():
        if title not in ("list", "text", "nothing"):
            said = _SAID.get(title, "the signed payload")
            yield f"payload-{title}", (f"{attack} in what was signed", payload(RESULT, change), said)
    yield (
        "payload-line-feed",
        ("signed a line feed behind the JSON", payload(RESULT, lambda it: it + b"\n"), "canonical form"),
    )
    yield (
        "payload-float",
        (
            "signed a number where a decimal string belongs",
            payload(RESULT, lambda it: it.replace(b'"value":"0.9"', b'"value":0.9')),
            "holds a float",
        ),
    )
    yield (
        "payload-key-not-ascii",
        (
            "signed a key that is not ASCII",
            payload(RESULT, lambda it: it.replace(b"{", b'{"\xc3\xa9":1,', 1)),
            "key that is not ASCII",
        ),
    )
    yield (
        "payload-nul",
        (
            "signed a NUL in a key",
            payload(RESULT, lambda it: it.replace(b"{", b'{"\\u0000":1,', 1)),
            "unknown field",
        ),
    )


def _line(change: Callable[[dict[str, Any]], Any]) -> Forge:
    """Return a forgery that changes the first sample, which stays canonical."""

    def alter(data: bytes) -> bytes:
        first, rest = data.split(b"\n", 1)
        value = json.loads(first)
        change(value)
        return canonical_bytes(value) + b"\n" + rest

    return sealed(edit(names.SAMPLES, alter))


def _samples() -> Iterator[tuple[str, tuple[str, Forge, str]]]:
    for title, (attack, change, words) in {
        "without-last-line-feed": ("cut the last line feed", lambda data: data[:-1], "no line feed"),
        "blank-line": ("added an empty line", lambda data: data + b"\n", "not JSON"),
        "separator-line": (
            "ended lines with U+2028",
            lambda data: data.replace(b"\n", b"\xe2\x80\xa8"),
            "no line feed",
        ),
        "form-feed": ("ended lines with a form feed", lambda data: data.replace(b"\n", b"\f", 1), "not JSON"),
    }.items():
        yield f"samples-{title}", (f"{attack} of `samples.jsonl`", sealed(edit(names.SAMPLES, change)), words)
    for title, (attack, change, words) in {
        "unknown-field": ("a field that there is not", lambda it: it.update(more=1), "unknown field"),
        "null-field": ("`null` for its error", lambda it: it.update(error=None), "is null"),
        "seconds": (
            "how long it took, which belongs to the events",
            lambda it: it.update(seconds=1.5),
            "unknown field",
        ),
        "id-number": ("a number for its id", lambda it: it.update(id=1), "`id` is not"),
        "id-missing": ("no id", lambda it: it.pop("id"), "`id` is missing"),
        "replicate-missing": ("no replicate", lambda it: it.pop("replicate"), "`replicate` is missing"),
        "replicate-negative": ("replicate -1", lambda it: it.update(replicate=-1), "`replicate` is not"),
        "replicate-true": ("replicate `true`", lambda it: it.update(replicate=True), "`replicate` is not"),
        "weight-negative": ("a weight below zero", lambda it: it.update(weight=-1), "`weight` is not"),
        "weight-text": ("a text for its weight", lambda it: it.update(weight="1"), "`weight` is not"),
        "scores-text": (
            "a text among its scores",
            lambda it: it.update(scores={"a": "1"}),
            "`scores` is not",
        ),
        "epoch-huge": (
            "epoch 2^60, written as RFC 8785 has it",
            lambda it: it.update(epoch=float(2**60)),
            "`epoch` is not",
        ),
    }.items():
        yield f"sample-with-{title}", (f"signed a sample with {attack}", _line(change), words)


_LOCKS = {
    "lock-and-a-line-feed": (
        "added a line feed to the lock",
        sealed(edit(names.LOCK, lambda it: it + b"\n")),
        "canonical form",
    ),
    "lock-v2": (
        "called the lock one of a later version",
        sealed(replace(names.LOCK, b"evalctl/lock/v1", b"evalctl/lock/v2")),
        "is not a lock of schema",
    ),
    "lock-with-a-key-more": (
        "added a key to the lock",
        sealed(edit(names.LOCK, lambda it: canonical_bytes({**json.loads(it), "more": 1}))),
        "exactly `schema`",
    ),
    "blueprint-with-carriage-returns": (
        "ended the lines of `blueprint.toml` with CR LF",
        sealed(edit(names.BLUEPRINT, lambda it: it.replace(b"\n", b"\r\n"))),
        "not the text inside",
    ),
    "blueprint-with-a-byte-order-mark": (
        "put a byte order mark before `blueprint.toml`",
        sealed(edit(names.BLUEPRINT, lambda it: b"\xef\xbb\xbf" + it)),
        "not the text inside",
    ),
    "blueprint-of-bytes": (
        "wrote bytes into `blueprint.toml`",
        sealed(write(names.BLUEPRINT, bytes(range(256)))),
        "not the text inside",
    ),
}
