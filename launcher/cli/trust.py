"""`evalctl trust`: who may sign what on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from launcher.cli.options import Json
from launcher.cli.output import print_json
from launcher.cli.signing import first_policy, owner_of, read_verifying_policy, save_policy
from launcher.errors import InfrastructureError, TrustError
from launcher.store.home import find_home
from launcher.trust.key_files import load_public_file
from launcher.trust.policy_edit import add_key


def add(
    public_key: Annotated[
        Path, typer.Argument(metavar="FILE", help="A public key: an OpenSSH line (NAME.pub), or PEM.")
    ],
    name: Annotated[
        str, typer.Option(metavar="NAME", help="What to call its owner; default: the file's name.")
    ] = "",
    as_json: Json = False,
) -> int:
    """Trust a public key on this machine.

    Adds it to this home's trust.toml, which `verify` and `reproduce` apply. Compare the fingerprint with
    what the key's owner publishes before you add it.
    """
    home = find_home()
    public = load_public_file(public_key)
    owner = name or owner_of(public_key)
    try:
        text = add_key(home.trust.read_text(), owner, public)
    except FileNotFoundError:
        text = first_policy(home, owner, public)
    except OSError as error:
        raise InfrastructureError(
            f"cannot read `{home.trust}`", code="home-not-readable", context=error.strerror
        ) from error
    save_policy(home, text)
    if as_json:
        print_json({"name": owner, "fingerprint": public.fingerprint, "policy": str(home.trust)})
    else:
        print(f"this machine now trusts `{owner}` ({public.fingerprint})")
    return 0


def show(as_json: Json = False) -> int:
    """Show who is trusted, for what, until when."""
    home = find_home()
    if not home.trust.exists():
        raise TrustError(
            "nobody is trusted on this machine yet",
            code="no-policy",
            context=f"there is no `{home.trust}`",
            hint="add a key with `evalctl trust add NAME.pub`; the first `evalctl launch` adds your own",
        )
    policy = read_verifying_policy(home, None, None)
    keys = [
        {"name": key.name, "fingerprint": key.public.fingerprint, "roles": sorted(key.roles)}
        for key in policy.keys.values()
    ]
    if as_json:
        print_json({"version": policy.version, "expires": policy.expires.isoformat(), "keys": keys})
        return 0
    print(f"policy {home.trust}, version {policy.version}, expires {policy.expires:%Y-%m-%d}")
    for key in keys:
        print(f"  {key['name']}: {key['fingerprint']}\n    may sign: {', '.join(key['roles'])}")
    return 0
