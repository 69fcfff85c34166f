"""What `--key FILE` means: the file itself says whether a key, an agent or a program signs."""

from pathlib import Path

from launcher.trust.key_files import is_public, load_public_file, load_signer, read_key_file
from launcher.trust.keys import Signer
from launcher.trust.private_keys import DeferredSigner, FileSigner, Passphrase


def find_signer(path: Path, ask: Passphrase | None = None) -> Signer:
    """Return who signs for the file at `path`.

    A private key signs itself; a public one by the agent that holds its private half; a TOML file by the
    program that it names. Raises `MalformedError` for other files, and for a key under a passphrase that is
    not to be had; `InfrastructureError` where an agent does not hold the key.
    """
    data = read_key_file(path)
    if b"PRIVATE KEY-----" in data[:64]:
        return load_signer(path, ask)
    if is_public(data):
        from launcher.signing.agent import find_in_agent

        return find_in_agent(load_public_file(path), str(path))
    from launcher.signing.command import read_command_signer

    return read_command_signer(path, data)


def signs_surely(signer: Signer) -> bool:
    """Say whether nobody else can keep `signer` from signing: no person, agent, device or program."""
    return isinstance(signer, FileSigner | DeferredSigner)
