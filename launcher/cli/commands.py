"""The table of commands: the help page and the lazy loader read it, so that help imports no command."""

from typing import NamedTuple


class Command(NamedTuple):
    """One command: the words a person types, the module and function behind them, and its summary."""

    words: tuple[str, ...]
    module: str
    function: str
    summary: str


class Group(NamedTuple):
    """A heading of the help page and its commands."""

    title: str
    commands: tuple[Command, ...]


GROUPS = (
    Group(
        "Everyday",
        (
            Command(("init",), "init", "init", "Begin an evaluation: a folder that runs as it is."),
            Command(("pin",), "pin", "pin", "Fill in a blueprint's digests, commit and sizes."),
            Command(("validate",), "validate", "validate", "Check a blueprint; show every problem at once."),
            Command(("launch",), "launch", "launch", "Run a blueprint or lock; write a signed bundle."),
            Command(("verify",), "verify", "verify", "Check a bundle offline: bytes, signatures, metrics."),
            Command(("reproduce",), "reproduce", "reproduce", "Launch a bundle's lock again and compare."),
            Command(("show",), "show", "show", "Show a bundle's result in the terminal."),
        ),
    ),
    Group(
        "Locks and bundles",
        (
            Command(("resolve",), "resolve", "resolve", "Pin everything a blueprint names; write its lock."),
            Command(("plan",), "plan", "plan", "Show exactly what would run, without running it."),
            Command(("shell",), "shell", "shell", "Open a shell in the sandbox; sign and keep nothing."),
            Command(("report",), "report", "report", "Write a bundle's report: HTML or Markdown."),
            Command(("redact",), "redact", "redact", "Withhold parts of a bundle; the rest still verifies."),
            Command(("sign",), "sign", "sign", "Co-sign a bundle: stand behind its bytes."),
            Command(("attach",), "attach", "attach", "Attach what others signed about a bundle."),
            Command(("import",), "import_logs", "import_", "Bring in logs of lm-eval or Inspect, unsigned."),
            Command(
                ("export", "in-toto"),
                "export",
                "in_toto",
                "Write a bundle's verdict as in-toto's test-result.",
            ),
            Command(("export", "sshsig"), "export", "sshsig", "Sign a bundle's SHA256SUMS as OpenSSH does."),
            Command(
                ("export", "verifier"),
                "export",
                "verifier",
                "Print the stand-alone verifier, one Python file.",
            ),
            Command(("list",), "list", "list_bundles", "List the attempts and bundles of this home."),
            Command(("status",), "status", "status", "Show what runs in this home, and what never ended."),
            Command(("logs",), "logs", "logs", "Print what an attempt's containers write, or wrote."),
            Command(("cancel",), "cancel", "cancel", "Stop a running attempt as Ctrl-C does."),
        ),
    ),
    Group(
        "This machine",
        (
            Command(
                ("doctor",), "doctor", "doctor", "See whether this machine can launch; say what to mend."
            ),
            Command(("gc",), "gc", "gc", "Remove what dead launches left, and what they kept."),
        ),
    ),
    Group(
        "Images",
        (
            Command(("image", "build"), "image", "build", "Build an image layout from a recipe folder."),
            Command(("image", "check"), "image_check", "check", "Build an image twice, elsewhere; compare."),
            Command(("image", "load"), "image", "load", "Put a layout into the engine; prove its digest."),
            Command(
                ("image", "import"), "image_import", "import_", "Make a layout of a tar that docker saved."
            ),
            Command(
                ("image", "inspect"),
                "image_inspect",
                "inspect",
                "Print an image's digests, labels and packages.",
            ),
        ),
    ),
    Group(
        "Keys and trust",
        (
            Command(("key", "new"), "key", "new", "Make a key pair for signing."),
            Command(("key", "show"), "key", "show", "Print a key's fingerprint and public line."),
            Command(
                ("trust", "init"),
                "trust_init",
                "init",
                "Begin with a policy: one key, or one from elsewhere.",
            ),
            Command(("trust", "add"), "trust", "add", "Trust a public key on this machine."),
            Command(("trust", "revoke"), "trust", "revoke", "Revoke a key, for good or from a time on."),
            Command(("trust", "rule"), "trust", "rule", "Say how many keys, and whose, must sign."),
            Command(("trust", "renew"), "trust_terms", "renew", "Say until when a policy counts."),
            Command(
                ("trust", "ledger"), "trust_terms", "ledger", "Pin the ledger that counts a key's attempts."
            ),
            Command(
                ("trust", "sign"), "trust_init", "sign_policy", "Sign a policy with one of its root keys."
            ),
            Command(("trust", "show"), "trust_show", "show", "Show who is trusted, for what, until when."),
            Command(
                ("trust", "export"), "trust_show", "export", "Print the policy for other programs: OpenSSH."
            ),
        ),
    ),
    Group(
        "The ledger of attempts",
        (
            Command(("ledger", "show"), "ledger", "show", "Show every launch attempt of this home, counted."),
            Command(("ledger", "prove"), "ledger", "prove", "Give a bundle a new proof of its attempt."),
            Command(("ledger", "verify"), "ledger_past", "verify", "Check a whole ledger, and its past."),
            Command(("ledger", "since"), "ledger_past", "since", "Prove that this home's ledger only grew."),
            Command(("ledger", "witness"), "ledger_past", "witness", "Co-sign a ledger that kept its past."),
            Command(("ledger", "add"), "ledger", "add", "Keep a witness's signature of this ledger."),
        ),
    ),
    Group(
        "Reference",
        (
            Command(
                ("schema",), "schema", "schema", "Print a JSON Schema: blueprint, lock, samples, result..."
            ),
            Command(("completion",), "completion", "completion", "Print a shell's completion of evalctl."),
            Command(("metrics",), "metrics", "metrics", "List the metric definitions."),
        ),
    ),
)


def all_commands() -> tuple[Command, ...]:
    """Return every command in the order of the help page."""
    return tuple(command for group in GROUPS for command in group.commands)


def find_command(arguments: list[str]) -> tuple[Command, list[str]] | None:
    """Return the command that `arguments` begin with and the arguments left, or None."""
    for command in all_commands():
        count = len(command.words)
        if tuple(arguments[:count]) == command.words:
            return command, arguments[count:]
    return None


def group_help(word: str) -> str | None:
    """Return the page of the commands that begin with `word` and go on, None where there are none."""
    own = [command for command in all_commands() if command.words[0] == word and len(command.words) > 1]
    if not own:
        return None
    return "\n".join([f"Usage: evalctl {word} COMMAND [ARGUMENTS]", "", *map(_line, own), ""])


def help_text() -> str:
    """Return the page that `evalctl --help` prints."""
    lines = [
        "Usage: evalctl COMMAND [ARGUMENTS]",
        "",
        "Launch machine-learning evaluations that strangers can check and get again.",
    ]
    for group in GROUPS:
        lines += ["", f"{group.title}:"]
        lines += map(_line, group.commands)
    lines += [
        "",
        "Options:",
        "  --help         Show this page; `evalctl COMMAND --help` shows a command's own.",
        "  --version      Print the version.",
        "",
        "Exit codes: 0 ok, 1 checked and failed, 2 usage or malformed input, 3 trust",
        "policy unmet, 4 infrastructure failed (no score), 5 inconclusive, 6 a",
        "requirement is unmet.",
        "",
    ]
    return "\n".join(lines)


def _line(command: Command) -> str:
    return f"  {' '.join(command.words):<16} {command.summary}"
