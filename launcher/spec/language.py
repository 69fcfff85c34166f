"""The blueprint's language: each table declared once, for the reader, the JSON Schema and the reference."""

from launcher.spec import blueprint as values
from launcher.spec import grammars, rules, terms
from launcher.spec.kinds import Free, Key, ListOf, MapOf, Table
from launcher.spec.run_tables import RESOURCES, RUN, SANDBOX, SCORE, SERVICE
from launcher.spec.scalars import choice, constant, flag, integer, line, number, pattern, plain, prose
from launcher.spec.source_tables import CODE, DATA, IMAGE_TABLE, MODEL

_ABOUT = Table(
    "What the evaluation is called, and why it is as it is.",
    (
        Key(
            "name",
            pattern("`org/name`", grammars.BLUEPRINT_NAME, "two names with one `/` between"),
            "The evaluation's name, `org/name`.",
        ),
        Key(
            "version",
            pattern("MAJOR.MINOR.PATCH", grammars.VERSION, "three whole numbers, for example `1.0.0`"),
            "MAJOR.MINOR.PATCH; a MAJOR step means that scores are not comparable.",
        ),
        Key("title", line(), "One line for people.", ""),
        Key("license", line(), "The licence of the evaluation itself, as an SPDX expression.", ""),
        Key("authors", ListOf(line(minimum=1)), "Who made it, as `NAME <ADDRESS>`.", []),
        Key("cite", line(), "How to cite it, for example a DOI.", ""),
        Key("rationale", prose(), "Why this model, these hyperparameters, this preprocessing.", ""),
        Key(
            "supersedes",
            pattern("a digest `sha256:` and 64 hex digits", grammars.DIGEST),
            "The bundle that is this evaluation's baseline.",
            None,
        ),
    ),
    make=values.About,
)


_INTERVAL = Table(
    "How the interval is made.",
    (
        Key("method", terms.NAME, "Its method; absent: the definition's own.", None),
        Key("level", number(0, 1, open_ends=True), "Its level.", 0.95),
    ),
    make=values.Interval,
)

_THRESHOLD = Table(
    "The bound that the metric must keep.",
    (
        Key("min", number(), "The least value that passes.", None),
        Key("max", number(), "The greatest value that passes.", None),
        Key(
            "on",
            choice("value", "ci-lower", "ci-upper"),
            "What is held against the bound: the value or an end of its interval.",
            "value",
        ),
    ),
    make=values.Threshold,
    at_least_one=("min", "max"),
    rules=(rules.bounds_in_order,),
)

_PUBLISHED = Table(
    "The figure that somebody printed.",
    (
        Key("value", number(), "The figure."),
        Key("decimals", integer(0, values.MAX_DECIMALS), "To how many decimals it was printed."),
        Key("source", line(), "Where.", ""),
    ),
    make=values.Published,
)

_TOLERANCE = Table(
    "How far a reproduction may be off.",
    (
        Key("abs", number(0), "The greatest difference of the values.", None),
        Key("sample-agreement", number(0, 1), "The least share of samples that agree.", None),
    ),
    make=values.Tolerance,
    at_least_one=("abs", "sample-agreement"),
)

_METRIC = Table(
    "One number that the launcher computes from the samples, declared before the run.",
    (
        Key("name", terms.NAME, "Its name."),
        Key(
            "definition",
            pattern("`NAME@VERSION` or `code:FILE`", grammars.DEFINITION, "for example `accuracy@1`"),
            "A versioned definition, `NAME@VERSION`, or `code:FILE` from the commit's tree.",
        ),
        Key(
            "of",
            pattern('"prediction" or "scores.NAME"', grammars.MEASURED),
            "What is measured: the prediction beside its target, or a score the container gives.",
            "prediction",
        ),
        Key(
            "where",
            MapOf(line(minimum=1), plain(), maximum=100),
            "Only samples whose groups have these values.",
            {},
        ),
        Key("parameters", Free(), "Parameters of the definition.", {}),
        Key(
            "primary",
            flag(),
            "The metric that decides; absent everywhere: the first. Others are supplementary.",
            False,
        ),
        Key("direction", choice("higher", "lower"), "Which way is better.", "higher"),
        Key("ci", _INTERVAL, "Its interval.", {}),
        Key("threshold", _THRESHOLD, "The bound that it must keep.", None),
        Key("published", _PUBLISHED, "The figure that somebody printed.", None),
        Key("reproduce", _TOLERANCE, "The tolerance; absent: by `determinism`, or from noise.", None),
    ),
    make=values.Metric,
)

_CELLS = ListOf(MapOf(line(minimum=1), Free(table=False), minimum=1))

_MATRIX = Table(
    "One lock for each combination of the axes' values.",
    (
        Key(
            "axes",
            MapOf(line(minimum=1), ListOf(Free(table=False), minimum=1), maximum=20, minimum=1),
            "Key paths, for example `run.seeds`, and the values each takes.",
        ),
        Key("include", _CELLS, "Further combinations.", []),
        Key("exclude", _CELLS, "Combinations left out.", []),
    ),
    make=values.Matrix,
)

_BUNDLE = Table(
    "How the result bundle is written.",
    (Key("redactable", flag(), "True adds salted commitments per sample field, for `redact`.", False),),
)

BLUEPRINT = Table(
    "A blueprint: what is evaluated, how, and what counts as a result.",
    (
        Key("schema", constant(values.SCHEMA), "The version of this language."),
        Key("blueprint", _ABOUT, _ABOUT.text),
        Key("image", IMAGE_TABLE, IMAGE_TABLE.text),
        Key("code", CODE, CODE.text),
        Key("model", ListOf(MODEL), MODEL.text, []),
        Key("data", ListOf(DATA), DATA.text, []),
        Key("config", Free(), "Free tables, frozen and handed over as `/eval/config.json`.", {}),
        Key("run", RUN, RUN.text),
        Key("score", SCORE, SCORE.text, None),
        Key("service", ListOf(SERVICE, maximum=100, unique=True), SERVICE.text, []),
        Key("resources", RESOURCES, RESOURCES.text, {}),
        Key("sandbox", SANDBOX, SANDBOX.text, {}),
        Key("metric", ListOf(_METRIC, minimum=1, unique=True), _METRIC.text),
        Key("matrix", _MATRIX, _MATRIX.text, None),
        Key("bundle", _BUNDLE, _BUNDLE.text, {}),
    ),
    rules=rules.ACROSS_TABLES,
)
