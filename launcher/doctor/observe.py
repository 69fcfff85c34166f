"""Gather what doctor judges: this machine, the home, its key and policy, the engine."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from launcher.engines.docker_request import OWN_FILES
from launcher.engines.engine import EngineFacts
from launcher.environment.gpus import observe_gpus
from launcher.environment.machine import (
    ClockFacts,
    DiskFacts,
    MachineFacts,
    observe_clock,
    observe_disk,
    observe_machine,
)
from launcher.errors import EvalctlError
from launcher.signing.signers import find_signer, signs_surely
from launcher.spec.gpus import GpuInventory
from launcher.spec.predicates import LOCK_TYPE, REPRODUCTION_TYPE, RESULT_TYPE
from launcher.spec.roles import EVIDENCE_ROLES, Role
from launcher.store.home import Home
from launcher.trust.key_files import load_public_file
from launcher.trust.policy import Claim, Policy

if TYPE_CHECKING:
    from launcher.engines.engine import Engine


class Fault(Struct, frozen=True):
    """An error as doctor shows it."""

    message: str
    fix: str


class EngineState(Struct, frozen=True):
    """What the engine answered, and the disk of its images where it is seen from here; or why it did not."""

    facts: EngineFacts | None
    disk: DiskFacts | None = None
    fault: Fault | None = None


class KeyState(Struct, frozen=True):
    """The home's key: its fingerprint where it can sign, the fault where it cannot; neither: none yet."""

    path: Path
    fingerprint: str | None = None
    fault: Fault | None = None


class TrustState(Struct, frozen=True):
    """The home's policy, None where there is none; `refusals` is why it does not count the home's key."""

    path: Path
    expires: datetime | None = None
    keys: int = 0
    refusals: tuple[str, ...] = ()
    fault: Fault | None = None


class Leftovers(Struct, frozen=True):
    """How many dead launches were cleaned up after, or why that could not be done."""

    removed: int = 0
    fault: Fault | None = None


class Observed(Struct, frozen=True):
    """Everything that the checks of a machine look at; `shut` are files of ours that the sandbox needs."""

    machine: MachineFacts
    clock: ClockFacts
    home: DiskFacts
    installation: DiskFacts
    shut: tuple[tuple[Path, int], ...]
    engine: EngineState
    key: KeyState
    trust: TrustState
    gpus: GpuInventory
    leftovers: Leftovers


def observe(
    home: Home,
    connect: "Callable[[], Engine]",
    read_policy: "Callable[[Home], Policy]",
    reap: Callable[[], int],
) -> Observed:
    """Look at everything once; nothing is changed but what `reap` removes."""
    clock = observe_clock([home.default_key, home.trust, home.root / "id", *OWN_FILES])
    key = _key(home)
    return Observed(
        machine=observe_machine(),
        clock=clock,
        home=observe_disk(home.root),
        installation=observe_disk(next(iter(OWN_FILES))),
        shut=tuple((path, mode) for path, mode in OWN_FILES.items() if path.stat().st_mode & mode != mode),
        engine=_engine(connect),
        key=key,
        trust=_trust(home, key, read_policy, clock.now),
        gpus=observe_gpus(),
        leftovers=_leftovers(home, reap),
    )


def _engine(connect: "Callable[[], Engine]") -> EngineState:
    try:
        with closing(connect()) as engine:
            facts, root = engine.describe(), engine.root()
    except EvalctlError as error:
        return EngineState(None, fault=_fault(error))
    seen = root is not None and root.exists()
    return EngineState(facts, observe_disk(root) if root and seen else None)


def _key(home: Home) -> KeyState:
    path = home.default_key
    if not path.exists():
        return KeyState(path)
    try:
        # The public half beside it says whose it is: nobody is asked for a passphrase.
        signer = find_signer(path, lambda _: b"")
        if signs_surely(signer):
            signer.sign(b"doctor")
        public = load_public_file(path.with_name(f"{path.name}.pub"))
    except EvalctlError as error:
        return KeyState(path, fault=_fault(error))
    if public != signer.public:
        fix = f"ssh-keygen -y -f {path} > {path}.pub"
        return KeyState(path, fault=Fault(f"`{path}.pub` is another key's public half", fix))
    return KeyState(path, signer.public.fingerprint)


def _trust(home: Home, key: KeyState, read: "Callable[[Home], Policy]", now: datetime) -> TrustState:
    if not home.trust.exists():
        return TrustState(home.trust)
    try:
        policy = read(home)
    except EvalctlError as error:
        return TrustState(home.trust, fault=_fault(error))
    refusals: list[str] = []
    if key.fingerprint is not None:
        decisions = [policy.decide(claim, now) for claim in _claims(key.fingerprint)]
        refusals = [decision.reason for decision in decisions if not decision.allowed]
    return TrustState(home.trust, policy.expires, len(policy.keys), tuple(dict.fromkeys(refusals)))


def _claims(fingerprint: str) -> Iterator[Claim]:
    """Yield what the home's key signs in a launch and a reproduction."""
    types: Mapping[Role, str] = {"lock": LOCK_TYPE, "result": RESULT_TYPE, "reproduction": REPRODUCTION_TYPE}
    for role in EVIDENCE_ROLES:
        yield Claim(role, frozenset([fingerprint]), types[role])


def _leftovers(home: Home, reap: Callable[[], int]) -> Leftovers:
    if not home.root.exists():
        return Leftovers()
    try:
        return Leftovers(reap())
    except EvalctlError as error:
        return Leftovers(fault=_fault(error))


def _fault(error: EvalctlError) -> Fault:
    problems = "; ".join(str(problem) for problem in error.problems[:3])
    said = ": ".join(filter(None, (error.message, problems or error.context)))
    return Fault(said, error.hint or "evalctl doctor --json")
