"""What a person names on the command line: a blueprint or a lock file, and what comes with it."""

from pathlib import Path

from msgspec import Struct

from launcher.errors import CheckFailedError, MalformedError
from launcher.metrics.reference import references
from launcher.spec.blueprint import Blueprint
from launcher.spec.bundle import LOCK
from launcher.spec.lock import MAX_BYTES, Lock, check_lock, read_lock
from launcher.spec.reading import read_blueprint
from launcher.store.bundles import find_bundle
from launcher.store.directory import walk
from launcher.store.home import Home


class Target(Struct, frozen=True):
    """A blueprint, the lock it came in (None for a bare blueprint), and where its relative paths start."""

    blueprint: Blueprint
    lock: Lock | None
    base: Path
    attestation: bytes | None = None


def read_target(file: Path, blueprint_dir: Path | None = None) -> Target:
    """Read a blueprint (TOML) or a lock (`*.json`, with its `*.sigstore.json` beside it).

    Raises `MalformedError` with every problem.
    """
    data = read_file(file)
    base = blueprint_dir or file.parent
    if file.suffix != ".json":
        return Target(read_blueprint(data, file=str(file), definitions=references()), None, base)
    lock = read_lock(data, what=f"`{file}`")
    blueprint = read_lock_blueprint(lock, str(file))
    beside = attestation_path(file)
    attestation = read_file(beside) if beside.exists() else None
    return Target(blueprint, lock, base, attestation)


def read_target_or_bundle(home: Home, name: str, blueprint_dir: Path | None) -> tuple[Target, Path | None]:
    """Read the blueprint or lock `name`, or the lock inside the bundle `name`, which is returned with it.

    Raises `MalformedError` for files a person wrote, `CheckFailedError` for a bundle without a sound lock.
    """
    if Path(name).is_file() or name.endswith((".toml", ".json")):
        return read_target(Path(name), blueprint_dir), None
    bundle = find_bundle(home, name)
    try:
        with walk(bundle) as inventory:
            lock = read_lock(inventory.read(LOCK, MAX_BYTES), what=f"`{LOCK}`")
        return Target(read_lock_blueprint(lock, LOCK), lock, blueprint_dir or bundle), bundle
    except (CheckFailedError, MalformedError) as error:
        raise CheckFailedError(
            f"`{name}` holds no lock that can be planned",
            code="bad-bundle",
            context=error.message,
            hint=f"see what is wrong with `evalctl verify {name}`",
        ) from error


def read_lock_blueprint(lock: Lock, name: str) -> Blueprint:
    """Return the blueprint inside `lock` after checking that the lock is what it gives."""
    text = lock.blueprint.encode()
    blueprint = read_blueprint(text, file=f"{name} (blueprint)", definitions=references())
    check_lock(lock, blueprint)
    return blueprint


def attestation_path(lock: Path) -> Path:
    """Return where the signature of the lock file stands: `X.lock.json` has `X.lock.sigstore.json`."""
    return lock.with_name(f"{lock.name.removesuffix('.json')}.sigstore.json")


def lock_path(file: Path) -> Path:
    """Return where `resolve` writes the lock of the blueprint `file`."""
    return file.with_name(f"{file.stem}.lock.json")


def _near(path: Path) -> str:
    """Return what was meant by a path that is not there, as far as its folder tells."""
    import difflib

    try:
        known = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        known = []
    near = difflib.get_close_matches(path.name, known, 1)
    return f"did you mean `{path.parent / near[0]}`?" if near else "check the path"


def read_file(path: Path) -> bytes:
    """Return the bytes of a file a person named; at most 4 MiB."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        hint = f"name a file in it: `{path / 'blueprint.toml'}`" if path.is_dir() else _near(path)
        raise MalformedError(
            f"cannot read `{path}`", code="no-such-file", context=error.strerror, hint=hint
        ) from error
    if len(data) > MAX_BYTES:
        raise MalformedError(
            f"`{path}` is larger than {MAX_BYTES} bytes",
            code="file-too-large",
            hint="name a blueprint or a lock; data belongs into `[[data]]`",
        )
    return data
