"""The bundle's shape: which files there are, which names may stand in it, and how much of it is looked at."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from launcher.canonical import count_values
from launcher.digest import is_sha256_hex
from launcher.errors import CheckFailedError

BLUEPRINT: Final = "blueprint.toml"
LOCK: Final = "lock.json"
RESULT: Final = "result.json"
ENVIRONMENT: Final = "environment.json"
SBOM: Final = "sbom.cdx.json"
SAMPLES: Final = "samples.jsonl"
EVENTS: Final = "events.jsonl"
RESOURCES: Final = "resources.jsonl"
COMMITMENTS: Final = "commitments.jsonl"
SUMS: Final = "SHA256SUMS"
# What only a redacted bundle has: the values and salts it gives out, and the listing of the bundle it was.
OPENINGS: Final = "openings.jsonl"
ORIGINAL_SUMS: Final = "ORIGINAL-SHA256SUMS"

PREDICTIONS: Final = "predictions"
LOGS: Final = "logs"
ARTIFACTS: Final = "artifacts"
ATTESTATIONS: Final = "attestations"
DRAFT_PATCH: Final = f"{ARTIFACTS}/draft.patch"

PROVENANCE_ATTESTATION: Final = f"{ATTESTATIONS}/provenance.sigstore.json"
RESULT_ATTESTATION: Final = f"{ATTESTATIONS}/result.sigstore.json"
LOCK_ATTESTATION: Final = f"{ATTESTATIONS}/lock.sigstore.json"
LEDGER_PROOF: Final = f"{ATTESTATIONS}/ledger.tlog-proof"
_ORIGINAL: Final = f"{ATTESTATIONS}/original-"
_ORIGINAL_PROOF: Final = f"{_ORIGINAL}ledger.tlog-proof"

REQUIRED: Final = (BLUEPRINT, LOCK, RESULT, ENVIRONMENT, SBOM, SAMPLES, EVENTS, RESOURCES, SUMS)
REQUIRED_ATTESTATIONS: Final = (PROVENANCE_ATTESTATION, RESULT_ATTESTATION, LOCK_ATTESTATION)
OPTIONAL: Final = (COMMITMENTS, OPENINGS, ORIGINAL_SUMS)
OPTIONAL_FOLDERS: Final = (PREDICTIONS, LOGS, ARTIFACTS)

MAX_FILES: Final = 100_000
MAX_BYTES: Final = 1 << 37
MAX_DEPTH: Final = 16
MAX_NAME_BYTES: Final = 512
_MAX_LINE: Final = 64 + 2 + MAX_NAME_BYTES + 1
MAX_SEGMENT_BYTES: Final = 200
MAX_ATTESTATION_BYTES: Final = 8 << 20
MAX_RECORD_BYTES: Final = 16 << 20
MAX_LISTING_BYTES: Final = 32 << 20
MAX_SAMPLES_BYTES: Final = 4 << 30
MAX_VALUES: Final = 500_000
MAX_PARSED_BYTES: Final = 32 << 20
MAX_ATTESTATIONS_BYTES: Final = 32 << 20
MAX_ENVELOPE_VALUES: Final = 10_000
MAX_STATEMENT_VALUES: Final = 100_000
MAX_ATTESTATIONS: Final = 64
MAX_LISTED_SUBJECTS: Final = 1000

# ASCII only, so that no two file systems see two names where another sees one; no leading dot or dash, no
# trailing dot or space, nothing that a shell, a terminal or Windows would read as more than a name.
_DOS_DEVICE = r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:[./]|\Z)"
_SEGMENT = (
    rf"(?!{_DOS_DEVICE})(?=[^/]{{1,{MAX_SEGMENT_BYTES}}}(?:/|\Z))"
    r"[A-Za-z0-9_](?:[A-Za-z0-9_.+=@,() -]*[A-Za-z0-9_+=@)-])?"
)
_PORTABLE = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT}){{0,{MAX_DEPTH - 1}}}", re.ASCII)
_WIDEST = re.compile(rb"[\xf0-\xff]|\\u[dD]")
_ADDED_ATTESTATION = re.compile(
    rf"{ATTESTATIONS}/(?P<stem>(?:original-)?"
    r"(?:provenance|result|lock|reproduction-[A-Za-z0-9][A-Za-z0-9_-]{0,127}))"
    r"(?:\.(?P<key>[0-9a-f]{64}))?\.sigstore\.json",
    re.ASCII,
)


def is_portable_name(path: str) -> bool:
    """Say whether `path` (`/` between segments) names the same file on every platform, inside its root."""
    return len(path) <= MAX_NAME_BYTES and _PORTABLE.fullmatch(path) is not None


def is_bundle_file(path: str) -> bool:
    """Say whether a bundle may hold a file at `path`."""
    if path in REQUIRED or path in OPTIONAL:
        return True
    folder, slash, _ = path.partition("/")
    if not slash:
        return False
    if folder == ATTESTATIONS:
        return is_attestation(path)
    return folder in OPTIONAL_FOLDERS and is_portable_name(path)


def is_bundle_folder(path: str) -> bool:
    """Say whether a bundle may hold a folder at `path`."""
    top, _, _ = path.partition("/")
    return path == ATTESTATIONS or (top in OPTIONAL_FOLDERS and is_portable_name(path))


def is_attestation(path: str) -> bool:
    """Say whether `path` is the name of an attestation: one of the three, one of the bundle that this was
    before it was redacted, or one that was added later.
    """
    return path in (LEDGER_PROOF, _ORIGINAL_PROOF) or _ADDED_ATTESTATION.fullmatch(path) is not None


def is_original_attestation(path: str) -> bool:
    """Say whether `path` names an attestation of the bundle that a redacted one was made of."""
    return path.startswith(_ORIGINAL)


def as_original(path: str) -> str:
    """Return where a redacted bundle keeps the original's attestation at `path`."""
    return _ORIGINAL + path.removeprefix(f"{ATTESTATIONS}/")


def from_original(path: str) -> str:
    """Return where the original had the attestation that a redacted bundle keeps at `path`."""
    return f"{ATTESTATIONS}/{path.removeprefix(_ORIGINAL)}"


def reproduction_attestation(digest: str) -> str:
    """Return the path of the statement that the bundle with this digest reproduced the one it is in."""
    return f"{ATTESTATIONS}/reproduction-{digest.removeprefix('sha256:')}.sigstore.json"


def co_signature(path: str, key_hex: str) -> str:
    """Return the path of another key's signature over the payload of the attestation at `path`."""
    return f"{path.removesuffix('.sigstore.json')}.{key_hex}.sigstore.json"


def split_co_signature(path: str) -> tuple[str, str] | None:
    """Return the attestation's path and the key in hex if `path` names a co-signature."""
    match = _ADDED_ATTESTATION.fullmatch(path)
    if match is None or match["key"] is None:
        return None
    return f"{ATTESTATIONS}/{match['stem']}.sigstore.json", match["key"]


def refuse_many_attestations(count: int) -> None:
    """Raise `CheckFailedError` where a bundle has more attestations than anybody needs."""
    # SHA256SUMS counts among them.
    if count >= MAX_ATTESTATIONS:
        raise CheckFailedError(f"there are more than {MAX_ATTESTATIONS} attestations", code="too-many")


def refuse_collisions(paths: Iterable[str]) -> None:
    """Raise `CheckFailedError` where two paths are one on a file system that does not tell A from a."""
    files = [*paths]
    folders = {path.rpartition("/")[0] for path in files}
    for folder in [*folders]:
        folders.update(folder[:end] for end, letter in enumerate(folder) if letter == "/")
    names = [*files, *(folders - {""})]
    if len(set(map(str.lower, names))) == len(names):
        return
    seen: dict[str, str] = {}
    for name in sorted(names):
        if name.lower() in seen:
            other = seen[name.lower()]
            raise CheckFailedError(f"`{other}` and `{name}` are one name to some systems", code="same-name")
        seen[name.lower()] = name


def parsed_limit(path: str) -> int:
    """Return how many bytes a file that is parsed whole may have."""
    if path == SAMPLES:
        return MAX_SAMPLES_BYTES
    return MAX_LISTING_BYTES if path in (ENVIRONMENT, SBOM, RESULT) else MAX_RECORD_BYTES


def refuse_swollen(files: Mapping[str, bytes]) -> None:
    """Raise `CheckFailedError` where parsed files together would take more memory than anybody's need.

    Each value takes far more memory than its text, and one wide character makes its whole text wide.
    """
    values = size = 0
    for path, data in files.items():
        values += count_values(data)
        size += len(data) * _width(data)
        if values > MAX_VALUES:
            raise CheckFailedError(f"`{path}` holds more than {MAX_VALUES} values", code="too-many")
        if size > MAX_PARSED_BYTES:
            raise CheckFailedError(
                f"`{path}` is too much text to parse",
                code="file-too-large",
                context=f"with what was read before it, more than {MAX_PARSED_BYTES} bytes in memory",
            )


def _width(data: bytes) -> int:
    """Return how many bytes a character of the text takes in memory at most."""
    if data.isascii() and b"\\u" not in data:
        return 1
    return 4 if _WIDEST.search(data) else 2


def refuse_missing(paths: Iterable[str]) -> None:
    """Raise `CheckFailedError` unless every file that always exists is among `paths`."""
    present = frozenset(paths)
    for path in (*REQUIRED, *REQUIRED_ATTESTATIONS):
        if path not in present:
            raise CheckFailedError(f"the bundle has no `{path}`", code="missing-file")


def check_sums(data: bytes, digests: Mapping[str, str]) -> None:
    """Raise `CheckFailedError`, naming a file, unless `data` is the SHA256SUMS of `digests`.

    `digests` maps the path of every file outside `attestations/` (SHA256SUMS may be among them) to the hex
    SHA-256 of the bytes it has. `data` is compared, not parsed, so it can hold nothing else.
    """
    found = {path: sha256 for path, sha256 in digests.items() if path != SUMS}
    if _lists(data, found):
        return
    listed = read_sums(data)
    for path in sorted(listed.keys() | found.keys()):
        if path not in found:
            raise _failed(f"`{path}` is listed in {SUMS} but not in the bundle", "missing-file")
        if path not in listed:
            raise _failed(f"`{path}` is in the bundle but not listed in {SUMS}", "extra-file")
        if listed[path] != found[path]:
            raise _failed(f"`{path}` is not what {SUMS} says", "changed-file", listed[path], found[path])
    raise _failed(f"{SUMS} lists its files twice or out of order", "bad-sums")


def _lists(data: bytes, found: Mapping[str, str]) -> bool:
    """Say whether `data` is the listing of `found`, without making a second one."""
    position = 0
    # Names are ASCII, so that characters sort as bytes do.
    for path in sorted(found):
        line = f"{found[path]}  {path}\n".encode()
        if data[position : position + len(line)] != line:
            return False
        position += len(line)
    return position == len(data)


def read_sums(data: bytes) -> dict[str, str]:
    """Return the SHA-256 in hex of each file that a SHA256SUMS lists, by path; raises `CheckFailedError`."""
    listed: dict[str, str] = {}
    for number, line in enumerate(_lines(data), 1):
        sha256, path = line[:64].decode("ascii", "replace"), line[66:-1].decode("ascii", "replace")
        if line[64:66] != b"  " or line[-1:] != b"\n" or not is_sha256_hex(sha256):
            raise _failed(f"line {number} of {SUMS} is not `SHA-256  path`", "bad-sums")
        if not is_bundle_file(path):
            raise _failed(f"line {number} of {SUMS} names no file that a bundle may hold", "bad-sums")
        if len(listed) >= MAX_FILES:
            raise _failed(f"{SUMS} lists more than {MAX_FILES} files", "bad-sums")
        listed[path] = sha256
    return listed


def _lines(data: bytes) -> Iterator[bytes]:
    """Yield the lines one by one (all at once take much room), and of a longer one than any its beginning."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield data[start : min(end, start + _MAX_LINE)]
        start = end


def _failed(message: str, code: str, expected: str | None = None, got: str | None = None) -> CheckFailedError:
    context = f"expected sha256 {expected}, got {got}" if expected else None
    return CheckFailedError(message, code=code, context=context)
