"""Samples and events that are none."""

from collections.abc import Callable

from endings import ENDINGS, EVENTS, HONEST, MIB, SAMPLES, be_honest, ending


def _sample(name: str, text: str | bytes) -> None:
    """Register an attack that leaves `text` as samples."""
    data = text.encode() if isinstance(text, str) else text
    ENDINGS[f"samples-{name}"] = lambda: SAMPLES.write_bytes(data) and None


def _event(name: str, make: Callable[[], bytes]) -> None:
    """Register an attack that leaves the honest sample and these events."""

    def attack() -> None:
        be_honest()
        EVENTS.write_bytes(make())

    ENDINGS[f"events-{name}"] = attack


_sample("deep", '{"id": "honest", "prediction": ' + "[" * 100_000 + "]" * 100_000 + "}\n")
_sample("duplicate-keys", '{"id": "honest", "prediction": "honest", "prediction": "x"}\n')
_sample("not-a-number", '{"id": "honest", "prediction": "honest", "weight": NaN}\n')
_sample("infinite", '{"id": "honest", "prediction": "honest", "scores": {"x": 1e999}}\n')
_sample("huge-number", '{"id": "honest", "prediction": ' + "9" * 100_000 + "}\n")
_sample("lone-surrogate", '{"id": "honest", "prediction": "\\ud800"}\n')
_sample("bad-utf-8", b'{"id": "honest", "prediction": "\xff"}\n')
_sample("other-seed", '{"id": "honest", "prediction": "honest", "seed": 99}\n')
_sample("other-replicate", '{"id": "honest", "prediction": "honest", "replicate": 1}\n')
_sample("own-target", '{"id": "honest", "prediction": "x", "target": "x"}\n')
_sample("twice", HONEST + HONEST)
_sample("unasked", HONEST + '{"id": "unasked", "prediction": "x"}\n')
_sample("unanswered", '{"id": "another", "prediction": "honest"}\n')
_sample("negative-seconds", '{"id": "honest", "prediction": "honest", "seconds": -1}\n')
_sample("infinite-seconds", '{"id": "honest", "prediction": "honest", "seconds": 1e999}\n')
_sample("long-line", '{"id": "honest", "prediction": "' + "x" * (2 * MIB) + '"}\n')
_sample("null-bytes", b"\0" * (8 * MIB))
_event("deep", lambda: b'{"step": "x", "detail": ' + b"[" * 20_000 + b"]" * 20_000 + b"}\n")
_event("not-a-number", lambda: b'{"step": "x", "seconds": NaN}\n')
_event("as-the-launcher", lambda: b'{"step": "x", "source": "launcher", "at": "2026-01-01T00:00:00Z"}\n')
_event("too-many", lambda: b'{"step": "x"}\n' * 100_001)
_event("too-large", lambda: b'{"step": "x"}\n' + b" " * (80 * MIB))
_event("long-line", lambda: b'{"step": "' + b"x" * (1 * MIB) + b'"}\n')


@ending
def samples_two_million_and_one() -> None:
    with SAMPLES.open("w") as file:
        for number in range(2_000_001):
            file.write(f'{{"id":"{number}"}}\n')
