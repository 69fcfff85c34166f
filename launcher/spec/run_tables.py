"""The tables of what runs, and within which bounds: run, score, service, resources, sandbox."""

from typing import Any

from launcher.spec import blueprint as values
from launcher.spec import grammars, rules, terms
from launcher.spec.kinds import Key, ListOf, Table
from launcher.spec.scalars import choice, duration, flag, integer, line, pattern, size
from launcher.spec.widenings import OPENS

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

RESOURCES = Table(
    "What one container may use. `memory` bounds everything, `/tmp`, `/eval/out` and `/dev/shm` included.",
    (
        Key("cpus", integer(1, 4096), "Processors.", 1),
        Key("memory", size(), "Memory.", "2GiB"),
        Key("tmp", size(), "Of it, `/tmp`.", "64MiB"),
        Key("shm", size(), "Of it, `/dev/shm`.", "64MiB"),
        Key("output", size(), "Of it, `/eval/out`; also the most that `/eval/state` may hold.", "256MiB"),
        Key("pids", integer(1, 4_194_304), "Processes and threads.", 1024),
        Key("gpu", _GPU, "GPUs; absent: none.", None),
    ),
    make=values.Resources,
    rules=(rules.parts_fit_memory,),
)

RUN = Table(
    "The exact entry point; one replicate for each seed.",
    (
        Key("command", terms.COMMAND, "The argument vector; no shell is involved."),
        Key(
            "seeds",
            ListOf(integer(0, 2**32 - 1), minimum=1, maximum=1000, unique=True),
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
        Key("env", terms.ENVIRONMENT, "Environment variables.", {}),
        Key(
            "format",
            choice("samples", "lm-eval", "inspect"),
            "What the container leaves in `/eval/out`: `samples.jsonl`, or the logs of lm-eval or Inspect "
            "(`docs/harnesses.md`).",
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

SCORE = Table(
    "How predictions meet held-out targets: joined by the launcher, or scored by a second container.",
    (
        Key("labels", terms.NAME, 'The held-out data of `{"id", "target"}` lines to join by id.', None),
        Key("command", terms.COMMAND, "The argument vector of the second container.", None),
        Key("timeout", duration(), "The longest that scoring may take.", "1h"),
        Key("env", terms.ENVIRONMENT, "Its environment variables.", {}),
        Key("resources", RESOURCES, "Its resources.", {}),
    ),
    make=lambda *, command, **rest: values.Score(command=command or (), **rest),
    exactly_one=("command", "labels"),
    rules=(rules.only_with_command,),
)

_READY = Table(
    "When a service counts as ready.",
    (
        Key(
            "http",
            pattern("an http address such as `http://server:8000/health`", grammars.HTTP, limit=2000),
            "An address that must answer with a status of 2xx; its host is the service itself.",
        ),
        Key("timeout", duration(), "The longest to wait.", "10m"),
    ),
)


def _service(*, ready: dict[str, Any] | None, **rest: Any) -> values.Service:
    if ready is None:
        return values.Service(**rest)
    return values.Service(ready_http=ready["http"], ready_timeout=ready["timeout"], **rest)


SERVICE = Table(
    "A container beside `[run]` or `[score]`; they share a loopback of their own and no other network.",
    (
        Key("name", terms.NAME, "The host name by which it is reached; each listens on a port of its own."),
        Key("phase", choice("run", "score"), "Beside which it runs.", "run"),
        Key("image", terms.IMAGE, "Its image."),
        Key("command", terms.COMMAND, "Its argument vector."),
        Key("models", ListOf(terms.NAME, unique=True), "The models mounted into it.", []),
        Key("ready", _READY, "When it counts as ready; absent: at once.", None),
        Key("env", terms.ENVIRONMENT, "Its environment variables.", {}),
        Key("resources", RESOURCES, "Its resources.", {}),
    ),
    make=_service,
)

SANDBOX = Table(
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
            ListOf(
                pattern("a host name such as `example.org` or `*.example.org:443`", grammars.HOST),
                unique=True,
            ),
            "The hosts that may be reached.",
            [],
        ),
        Key("runtime", choice(*values.RUNTIMES), "The least runtime; `runsc` is gVisor.", "runc"),
        Key(
            "allow",
            ListOf(choice(*OPENS), unique=True),
            "Named widenings, counted and signed (`docs/sandbox.md`).",
            [],
        ),
        Key(
            "secrets",
            ListOf(terms.VARIABLE, unique=True),
            "Names of secrets, given at launch and never stored.",
            [],
        ),
    ),
    make=values.Sandbox,
    rules=(rules.hosts_need_egress,),
)
