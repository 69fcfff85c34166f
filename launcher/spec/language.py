"""The blueprint's tables, each declared once: the reader, the JSON Schema and the reference come from here."""

from functools import partial
from typing import Any

from launcher.spec import blueprint as values
from launcher.spec import grammars, rules
from launcher.spec.kinds import Free, Key, ListOf, MapOf, Table
from launcher.spec.scalars import (
    argument,
    choice,
    constant,
    day,
    duration,
    flag,
    grammar,
    integer,
    line,
    number,
    pattern,
    plain,
    prose,
    size,
)

_NAME = pattern(
    "a name", grammars.NAME, "letters, digits, `.`, `_` and `-`, starting with a letter or digit", limit=128
)
_SHA256 = pattern("64 lowercase hex digits", grammars.SHA256)
_IMAGE = grammar("an image by digest", grammars.IMAGE, grammars.explain_image)
_TREE_PATH = grammar(
    "a path inside the commit's tree", grammars.TREE_PATH, grammars.explain_tree_path, limit=1000
)
_COMMAND = ListOf(argument(), minimum=1)
_VARIABLE = grammar("a free variable name", grammars.VARIABLE, grammars.explain_variable, limit=255)
_ENVIRONMENT = MapOf(_VARIABLE, argument())

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


def _image(*, ref: str, mirrors: tuple[str, ...], platform: str) -> values.Image:
    transport, location, digest = grammars.split_image(ref)
    places = [(transport, location), *map(grammars.split_mirror, mirrors)]
    return values.Image(ref, digest, tuple(values.ImageReference(*place) for place in places), platform)


_IMAGE_TABLE = Table(
    "The container image, by digest and never by tag.",
    (
        Key(
            "ref",
            _IMAGE,
            "`REGISTRY/NAME@sha256:...` or `oci:PATH@sha256:...` (an OCI image layout, a folder or a tar); "
            "the digest is the manifest's or the index's.",
        ),
        Key(
            "mirrors",
            ListOf(grammar("a place without digest", grammars.MIRROR, grammars.explain_mirror), maximum=100),
            "Further places, tried in order; the digest decides.",
            [],
        ),
        Key(
            "platform",
            pattern("a platform such as `linux/amd64`", grammars.PLATFORM),
            "Which image of an index, never the host's choice.",
            "linux/amd64",
        ),
    ),
    make=_image,
)

_CODE = Table(
    "The code, by commit; the whole tree is mounted at `/eval/code`.",
    (
        Key(
            "git",
            grammar("a repository", grammars.GIT, grammars.explain_git),
            "A URL, or a path to a repository or a `git bundle` file.",
        ),
        Key(
            "commit",
            pattern(
                "40 lowercase hex digits", grammars.COMMIT, "branches and tags move; name the full commit"
            ),
            "The commit's full id.",
        ),
        Key(
            "path",
            grammar(
                "a path inside the commit's tree",
                f"(?:{grammars.TREE_PATH})?",
                lambda text: grammars.explain_tree_path(text) if text else "",
                limit=1000,
            ),
            "The working directory inside the tree.",
            "",
        ),
        Key(
            "lockfiles",
            ListOf(_TREE_PATH, unique=True),
            "Files that must exist at that commit; their digests go into the lock.",
            [],
        ),
    ),
    make=values.Code,
)

_WINDOW = Table(
    "The period the data speaks for.",
    (
        Key("from", day(), "The first day.", None),
        Key("to", day(), "The last day.", None),
    ),
    make=values.Window,
    at_least_one=("from", "to"),
    rules=(rules.window_in_order,),
)

_LINEAGE = Table(
    "How an input was made from others, so that it can be replayed.",
    (
        Key("data", ListOf(_NAME, unique=True), "The names of the inputs it was made from.", []),
        Key("command", ListOf(argument()), "The command that made it.", []),
        Key("image", _IMAGE, "The image in which the command ran.", None),
    ),
    make=values.Lineage,
)

_INPUT_KEYS = (
    Key("name", _NAME, "The name under `/eval/inputs/`; data and models share one name space."),
    Key(
        "uri",
        grammar("a URI or a path", grammars.URI, grammars.explain_uri),
        "Where the bytes may be found; the checksum decides.",
    ),
    Key("sha256", _SHA256, "The SHA-256 of the bytes as fetched; of a directory, its tree digest."),
    Key("size", integer(0, 2**53 - 1), "The size in bytes as fetched.", None),
    Key(
        "unpack", choice("none", "zst", "gz", "tar", "zip"), "How to unpack it before it is mounted.", "none"
    ),
    Key("license", line(), "Its licence, as an SPDX expression.", ""),
    Key("access", choice("public", "gated", "private"), "Who can get it.", "public"),
    Key(
        "split", choice("train", "validation", "test", "other"), "Which split of its data set it is.", "other"
    ),
    Key("version", line(), "The version its publisher gives it.", ""),
    Key("window", _WINDOW, "The period it speaks for.", None),
    Key(
        "role",
        choice("input", "held-out"),
        'Mounted into `[run]`; `"held-out"`: kept from it, for `[score]` only.',
        "input",
    ),
    Key("variant-of", _NAME, "The input of which it is a declared perturbation.", None),
    Key("derived-from", _LINEAGE, "How it was made.", None),
)

_DATA = Table("Data, by checksum.", _INPUT_KEYS, make=partial(values.Input, "data"))
_MODEL = Table(
    "A model's file, by checksum; the same keys as `[[data]]`, and `slot`.",
    (*_INPUT_KEYS, Key("slot", _NAME, "The slot under which another model may be put in its place.", None)),
    make=partial(values.Input, "model"),
)

_GPU = Table(
    "The GPUs that one container needs.",
    (
        Key("count", integer(1, 64), "How many.", 1),
        Key("memory", size(), "The least memory of each.", None),
        Key(
            "compute-capability",
            pattern('a bound such as ">=8.0"', grammars.VERSION_RANGE),
            "Its compute capability.",
            None,
        ),
        Key("driver", pattern('a bound such as ">=550"', grammars.VERSION_RANGE), "The driver.", None),
        Key(
            "models", ListOf(line(minimum=1)), "Model names, any of which will do; `*` matches any text.", []
        ),
    ),
    make=values.Gpu,
)

_RESOURCES = Table(
    "What one container may use. `memory` bounds everything, `/tmp`, `/eval/out` and `/dev/shm` included.",
    (
        Key("cpus", integer(1, 4096), "Processors.", 1),
        Key("memory", size(), "Memory.", "2GiB"),
        Key("tmp", size(), "Of it, `/tmp`.", "64MiB"),
        Key("shm", size(), "Of it, `/dev/shm`.", "64MiB"),
        Key("output", size(), "Of it, `/eval/out`.", "256MiB"),
        Key("pids", integer(1, 4_194_304), "Processes and threads.", 1024),
        Key("gpu", _GPU, "GPUs; absent: none.", None),
    ),
    make=values.Resources,
    rules=(rules.parts_fit_memory,),
)

_RUN = Table(
    "The exact entry point; one replicate for each seed.",
    (
        Key("command", _COMMAND, "The argument vector; no shell is involved."),
        Key(
            "seeds",
            ListOf(integer(0, 2**32 - 1), minimum=1, maximum=10_000, unique=True),
            "One replicate each.",
            [0],
        ),
        Key("timeout", duration(), "The longest that one replicate may take.", "1h"),
        Key(
            "determinism",
            choice("bitwise", "sample", "metric"),
            "What a reproduction must find equal: bytes, samples, or metrics within tolerance.",
            "metric",
        ),
        Key("env", _ENVIRONMENT, "Environment variables.", {}),
        Key(
            "format",
            choice("samples", "lm-eval", "inspect"),
            "What the container leaves in `/eval/out`.",
            "samples",
        ),
        Key(
            "resumable",
            flag(),
            "True mounts `/eval/state`, kept across attempts of one lock and never collected.",
            False,
        ),
    ),
    make=values.Run,
)

_SCORE = Table(
    "How predictions meet held-out targets: joined by the launcher, or scored by a second container.",
    (
        Key("labels", _NAME, 'The held-out data of `{"id", "target"}` lines to join by id.', None),
        Key("command", _COMMAND, "The argument vector of the second container.", None),
        Key("timeout", duration(), "The longest that scoring may take.", "1h"),
        Key("env", _ENVIRONMENT, "Its environment variables.", {}),
        Key("resources", _RESOURCES, "Its resources.", {}),
    ),
    make=lambda *, command, **rest: values.Score(command=command or (), **rest),
    exactly_one=("command", "labels"),
    rules=(rules.only_with_command,),
)

_READY = Table(
    "When a service counts as ready.",
    (
        Key(
            "http", pattern("an http address", grammars.HTTP, limit=2000), "An address that must answer 200."
        ),
        Key("timeout", duration(), "The longest to wait.", "10m"),
    ),
)


def _service(*, ready: dict[str, Any] | None, **rest: Any) -> values.Service:
    if ready is None:
        return values.Service(**rest)
    return values.Service(ready_http=ready["http"], ready_timeout=ready["timeout"], **rest)


_SERVICE = Table(
    "A container beside `[run]` or `[score]`, on a private network without egress.",
    (
        Key("name", _NAME, "The host name by which it is reached."),
        Key("phase", choice("run", "score"), "Beside which it runs.", "run"),
        Key("image", _IMAGE, "Its image."),
        Key("command", _COMMAND, "Its argument vector."),
        Key("models", ListOf(_NAME, unique=True), "The models mounted into it.", []),
        Key("ready", _READY, "When it counts as ready; absent: at once.", None),
        Key("env", _ENVIRONMENT, "Its environment variables.", {}),
        Key("resources", _RESOURCES, "Its resources.", {}),
    ),
    make=_service,
)

_SANDBOX = Table(
    "What isolates the containers.",
    (
        Key(
            "network",
            choice("none", "egress"),
            '`"egress"` makes the verdict say "not re-runnable".',
            "none",
        ),
        Key(
            "allow-hosts",
            ListOf(pattern("a host name", grammars.HOST), unique=True),
            "The hosts that may be reached.",
            [],
        ),
        Key("runtime", choice("runc", "runsc"), "The least runtime; `runsc` is gVisor.", "runc"),
        Key("allow", ListOf(_NAME, unique=True), "Named widenings, counted and signed.", []),
        Key(
            "secrets",
            ListOf(_VARIABLE, unique=True),
            "Names of secrets, given at launch and never stored.",
            [],
        ),
    ),
    make=values.Sandbox,
    rules=(rules.hosts_need_egress,),
)

_INTERVAL = Table(
    "How the interval is made.",
    (
        Key("method", _NAME, "Its method; absent: the definition's own.", None),
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
        Key("decimals", integer(0, 15), "To how many decimals it was printed."),
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
        Key("name", _NAME, "Its name."),
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
        Key("image", _IMAGE_TABLE, _IMAGE_TABLE.text),
        Key("code", _CODE, _CODE.text),
        Key("model", ListOf(_MODEL), _MODEL.text, []),
        Key("data", ListOf(_DATA), _DATA.text, []),
        Key("config", Free(), "Free tables, frozen and handed over as `/eval/config.json`.", {}),
        Key("run", _RUN, _RUN.text),
        Key("score", _SCORE, _SCORE.text, None),
        Key("service", ListOf(_SERVICE, maximum=100, unique=True), _SERVICE.text, []),
        Key("resources", _RESOURCES, _RESOURCES.text, {}),
        Key("sandbox", _SANDBOX, _SANDBOX.text, {}),
        Key("metric", ListOf(_METRIC, minimum=1, unique=True), _METRIC.text),
        Key("matrix", _MATRIX, _MATRIX.text, None),
        Key("bundle", _BUNDLE, _BUNDLE.text, {}),
    ),
    rules=rules.ACROSS_TABLES,
)
