"""Bundles whose metrics would take minutes or hours to compute again, signed with a trusted key."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from launcher.spec import bundle as names
from tests.bundles.case import Case, Forge, Row, rows
from tests.bundles.forging import edit, samples, sealed, signed_rows, then
from tests.bundles.honest import METRIC, Files, Run, launched

_TOO_MUCH = "too much work"
_ENTRY = '\n[[metric]]\nname = "m{0}"\ndefinition = "{1}"\n{2}\n'
_MOST = "resamples = 100000"


def cases() -> Iterator[Case]:
    """Yield the bundles that ask for too much work."""
    for base, table in _TABLES:
        yield from rows("exhaustion", "metrics", signed_rows(table), base=base, heavy=True)
    yield from rows("exhaustion", "contents", _BLUEPRINTS)


def _metrics(count: int, definition: str, more: Callable[[int], str]) -> str:
    return METRIC + "".join(_ENTRY.format(number, definition, more(number)) for number in range(count))


def _where(number: int) -> str:
    pairs = ", ".join(f"g{number}-{key} = 1" for key in range(100))
    return f"where = {{ {pairs} }}"


@cache
def _many_metrics() -> Files:
    return launched(Run(metric=_metrics(900, "accuracy@1", lambda _: "")))


@cache
def _many_groups() -> Files:
    return launched(Run(metric=_metrics(100, "accuracy@1", _where)))


@cache
def _many_resamples() -> Files:
    resampled = f'parameters = {{ average = "macro", {_MOST} }}'
    return launched(Run(metric=_metrics(1, "f1@1", lambda _: resampled)))


@cache
def _many_seeds() -> Files:
    resampled = f'parameters = {{ average = "macro", {_MOST} }}'
    return launched(Run(seeds=tuple(range(60)), items=2, metric=_metrics(1, "f1@1", lambda _: resampled)))


def _many(items: int, **changes: Any) -> Forge:
    """Return a forgery that signs more samples, each like the first of its replicate."""

    def grown(listed: list[Any]) -> list[Any]:
        first = {one["replicate"]: one for one in reversed(listed)}
        return [
            {**first[number], "id": f"{item:06}", **changes}
            for number in sorted(first)
            for item in range(items)
        ]

    return samples(grown)


def _other_labels(listed: list[Any]) -> list[Any]:
    """Give every sample labels of its own."""
    return [
        {**sample, "target": f"t{place}", "prediction": f"p{place}"} for place, sample in enumerate(listed)
    ]


_TABLES: tuple[tuple[Callable[[], Files], dict[str, Row]], ...] = (
    (
        _many_metrics,
        {"metrics-times-samples": ("measured 50,000 samples by 901 metrics", _many(25_000), _TOO_MUCH)},
    ),
    (
        _many_groups,
        {
            "groups-times-samples": (
                "held 40,000 samples against 10,000 groups",
                _many(20_000, groups={"g0-0": 1}),
                _TOO_MUCH,
            )
        },
    ),
    (
        _many_resamples,
        {"resamples-times-items": ("drew 40,000 items 100,000 times", _many(40_000), _TOO_MUCH)},
    ),
    (
        _many_seeds,
        {
            "resamples-times-labels": (
                "averaged over 240 labels in each of 60 seeds, 100,000 times",
                samples(_other_labels),
                _TOO_MUCH,
            )
        },
    ),
)


def _more_text(text: str) -> Forge:
    escaped = text.replace('"', '\\"').replace("\n", "\\n").encode()
    return then(
        edit(names.BLUEPRINT, lambda it: it + text.encode()),
        sealed(edit(names.LOCK, lambda it: it.replace(b'","identity"', escaped + b'","identity"', 1))),
    )


_BLUEPRINTS: dict[str, Row] = {
    "resamples-beyond-any-samples": (
        "locked 100 metrics of 100,000 resamples each",
        _more_text(
            "".join(
                _ENTRY.format(
                    number, "accuracy@1", f'ci = {{ method = "bootstrap" }}\nparameters = {{ {_MOST} }}'
                )
                for number in range(100)
            )
        ),
        _TOO_MUCH,
    ),
}
