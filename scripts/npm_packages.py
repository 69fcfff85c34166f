"""Install the JavaScript packages that tests judge our attestations by, outside every tracked folder."""

import hashlib
import shutil
from pathlib import Path

from scripts.console import Console

_FILES = ("package.json", "package-lock.json", ".npmrc")
_STAMP = "evalctl-verifiers.sha256"


def ensure_verifiers(root: Path, console: Console) -> None:
    """Bring `build/verifiers/node_modules` to what `tests/outside/package-lock.json` says.

    Does nothing where it already is; where there is no npm, the tests that need it skip themselves.
    """
    source, target = root / "tests" / "outside", root / "build" / "verifiers"
    wanted = hashlib.sha256(b"\0".join((source / name).read_bytes() for name in _FILES)).hexdigest()
    stamp = target / _STAMP
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    if shutil.which("npm") is None:
        console.say("tests: sigstore's verifier needs Node.js; type: sudo apt-get install -y nodejs npm")
        return
    target.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        shutil.copyfile(source / name, target / name)
    console.run(
        ["npm", "ci", "--no-audit", "--no-fund"], "JavaScript packages: sigstore's verifier", folder=target
    )
    stamp.write_text(wanted)
