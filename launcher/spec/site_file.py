"""`site.toml`: the site policy's language, and its strict reader, every problem at its place."""

from typing import Any, Final

from launcher.errors import MalformedError, Problem
from launcher.spec.advice import advice
from launcher.spec.blueprint import RUNTIMES
from launcher.spec.document import Document, read_document
from launcher.spec.kinds import Fault, Key, ListOf, Table
from launcher.spec.scalars import choice, constant, pattern
from launcher.spec.site import DEMANDS, ENGINE_NAMES, SCHEMA, SitePolicy
from launcher.spec.widenings import IMPLIED, OPENS


def _policy(*, schema: str, **values: Any) -> SitePolicy:
    """Return the policy; the schema's name is no part of it."""
    del schema
    return SitePolicy(**values)


SITE: Final = Table(
    "What the people who run a machine demand of every launch on it.",
    (
        Key("schema", constant(SCHEMA), "The version of this language.", SCHEMA),
        Key("minimum-runtime", choice(*RUNTIMES), "The least isolation of every launch.", "runc"),
        Key(
            "require",
            ListOf(choice(*DEMANDS), maximum=len(DEMANDS), unique=True),
            "What the engine and its host must have.",
            [],
        ),
        Key(
            "lacking",
            choice("refuse", "record"),
            "What of `require` is lacking: refuse the launch, or record it as a deviation of the result.",
            "refuse",
        ),
        Key(
            "widenings",
            ListOf(choice(*sorted((*OPENS, *IMPLIED))), unique=True),
            "The widenings of the sandbox that are allowed; absent: all.",
            None,
        ),
        Key("egress", choice("allow", "refuse"), 'Whether `network = "egress"` is allowed.', "allow"),
        Key(
            "private-hosts",
            choice("allow", "refuse"),
            "Whether `allow-hosts` may list addresses of this machine or its networks.",
            "refuse",
        ),
        Key(
            "foreign-gpu-processes",
            choice("refuse", "record"),
            "What is done where another's process is on a GPU that a launch would use.",
            "refuse",
        ),
        Key(
            "engines",
            ListOf(choice(*ENGINE_NAMES), minimum=1, unique=True),
            "The container engines that may be used; absent: all.",
            None,
        ),
        Key(
            "timestamp",
            pattern("an http or https address", r"https?://[^\s]+", limit=2000),
            "The RFC 3161 authority that timestamps each signature, unless `--timestamp` names another.",
            None,
        ),
    ),
    make=_policy,
)


def read_site_policy(data: bytes, *, file: str) -> SitePolicy:
    """Return the policy in the TOML bytes `data`; `file` names it in problems.

    Raises `MalformedError` (code `malformed-site-policy`) with every problem, and nothing else.
    """
    try:
        document = read_document(data, file=file)
    except MalformedError as error:
        raise _malformed(file, list(error.problems)) from error
    faults: list[Fault] = []
    values = SITE.read(document.values, (), faults)
    if "schema" not in document.values:
        faults.append(Fault((), f'the policy lacks its schema; write `schema = "{SCHEMA}"` first'))
    if faults:
        raise _malformed(file, _problems(document, faults))
    policy: SitePolicy = SITE.build(values)
    return policy


def _problems(document: Document, faults: list[Fault]) -> list[Problem]:
    positions = document.positions

    def offset(fault: Fault) -> int:
        return (positions.key if fault.at == "key" else positions.value)(fault.path)

    ordered = sorted(faults, key=lambda fault: (offset(fault), fault.message))
    return [
        Problem(document.file, *positions.place(offset(fault)), fault.message + advice(fault, SITE))
        for fault in ordered
    ]


def _malformed(file: str, problems: list[Problem]) -> MalformedError:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return MalformedError(
        f"the site policy `{file}` is malformed: {count}",
        code="malformed-site-policy",
        context="nothing is launched under a policy that is not understood whole",
        hint="mend the lines named; the keys are in docs/engines.md",
        problems=problems,
    )
