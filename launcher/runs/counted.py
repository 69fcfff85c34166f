"""Have each attempt in the home's ledger before anything of it runs, and its outcome when it is over."""

from functools import partial
from typing import TYPE_CHECKING, Any

from launcher.errors import EvalctlError
from launcher.ledger.book import Book, Counted
from launcher.ledger.count import OpenAttempt, group_keys, question_keys
from launcher.ledger.entries import Attempt as Entry
from launcher.ledger.entries import Outcome
from launcher.ledger.proof import Proof
from launcher.runs.events import now
from launcher.spec.bundle import LEDGER_PROOF
from launcher.spec.predicates import Suite
from launcher.store.attempts import Attempt
from launcher.store.files import create_atomically
from launcher.store.home import Home
from launcher.store.journal import lock_folder, read_state
from launcher.store.liveness import is_alive
from launcher.store.removal import remove_tree

# Lists settle too, and resolve nothing.
if TYPE_CHECKING:
    from launcher.resolve import Resolution
    from launcher.runs.request import Edges, LaunchRequest


def record_attempt(
    edges: "Edges", request: "LaunchRequest", resolution: "Resolution", attempt: Attempt
) -> Counted:
    """Record `attempt` in the ledger of the home; where that cannot be done, it is as if it never began.

    Raises `InfrastructureError`.
    """
    try:
        return Book(edges.home).record(_entry(edges, request, resolution, attempt))
    except EvalctlError:
        remove_tree(attempt.folder)
        raise


def settle(home: Home) -> list[Proof]:
    """Record what became of attempts that are over, each once, and give their bundles the proof of it.

    Raises `InfrastructureError` where the ledger cannot be written.
    """
    proofs = Book(home).close(partial(_outcome, home))
    for proof in proofs:
        _add_proof(home, proof)
    return proofs


def settle_after(edges: "Edges") -> tuple[str, ...]:
    """Record the outcome of an attempt that has ended; return what to remark where that cannot be done.

    The bundle is published then: its attempt stays unfinished in the ledger until a later launch settles it.
    """
    try:
        settle(edges.home)
    except EvalctlError as error:
        return (f"the outcome is not in the ledger yet: {error.in_words}",)
    return ()


def ledger_parameters(counted: Counted | None) -> dict[str, str]:
    """Return how the signed provenance names the ledger, and the entry of the attempt in it."""
    return {} if counted is None else {"ledger": counted.origin, "ledgerEntry": str(counted.index)}


def journal_facts(counted: Counted | None) -> dict[str, Any] | None:
    """Return what the journal keeps of an attempt's place, for lists of many attempts."""
    if counted is None:
        return None
    groups, questions = group_keys(counted.attempt), question_keys(counted.attempt)
    return {
        "entry": counted.index,
        "position": counted.attempt.position,
        "groups": list(groups),
        "questions": list(questions),
    }


def _entry(edges: "Edges", request: "LaunchRequest", resolution: "Resolution", attempt: Attempt) -> Entry:
    blueprint, pins = resolution.blueprint, resolution.pins
    data = {pins.inputs[item.name].sha256 for item in blueprint.inputs if item.kind == "data"}
    metrics: dict[str, list[str]] = {}
    for metric in blueprint.metrics:
        metrics.setdefault(metric.definition, []).append(metric.name)
    return Entry(
        lock=attempt.lock,
        suite=Suite(blueprint.about.name, blueprint.about.version),
        data=tuple(sorted(data)),
        metrics={definition: tuple(names) for definition, names in metrics.items()},
        attempt=attempt.number,
        position=1,
        invocation_id=attempt.invocation_id,
        time=now(),
        signer=edges.signer.public.fingerprint,
        purpose=request.purpose,
        marks=pins.marks,
    )


def _outcome(home: Home, entry: OpenAttempt) -> Outcome | None:
    """Return what the journal says of an attempt; None while it runs, or while nobody closed it."""
    state = read_state(lock_folder(home, entry.lock) / str(entry.attempt))
    if is_alive(home, entry.invocation_id):
        return None
    ended = Outcome(entry.index, entry.of, now(), "interrupted")
    if state.get("invocation_id") != entry.invocation_id or state.get("outcome") == "interrupted":
        return ended
    if state.get("outcome") not in ("succeeded", "failed"):
        return None
    return Outcome(
        entry.index,
        entry.of,
        now(),
        state["outcome"],
        state.get("failure"),
        state.get("verdict") or "none",
        state["bundle"],
        tuple(state.get("marks") or ()),
    )


def _add_proof(home: Home, proof: Proof) -> None:
    bundle = home.bundle(proof.outcome.bundle) if proof.outcome.bundle else None
    if bundle is not None and bundle.is_dir() and not (bundle / LEDGER_PROOF).exists():
        create_atomically(bundle / LEDGER_PROOF, proof.data)
