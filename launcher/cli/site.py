"""`--site FILE`: the policy of who keeps this machine; where it cannot be read, nothing is launched."""

import os
import stat
from pathlib import Path
from typing import Annotated, Final

import typer

from launcher.errors import InfrastructureError, MalformedError, TrustError
from launcher.spec.site import SitePolicy

DEFAULT: Final = Path("/etc/evalctl/site.toml")
_MOST_BYTES: Final = 1 << 20

SiteFile = Annotated[
    Path | None,
    typer.Option("--site", metavar="FILE", help="The site policy; default: that in /etc/evalctl."),
]


def site_authority(named: Path | None) -> str | None:
    """Return the address of the authority that timestamps what is signed under a site policy, if any."""
    return read_site(named).timestamp


def read_site(named: Path | None) -> SitePolicy:
    """Return the policy in `named`, else the machine's, else the one that demands nothing.

    Raises `MalformedError` for what is not there or not understood, `TrustError` for a file that anybody may
    write, `InfrastructureError` for one that cannot be read.
    """
    path = named or DEFAULT
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        if named is None and isinstance(error, FileNotFoundError | NotADirectoryError):
            return SitePolicy()
        if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
            raise MalformedError(
                f"there is no site policy `{path}`",
                code="no-such-file",
                context=error.strerror,
                hint="check the path",
            ) from error
        raise InfrastructureError(
            f"cannot read the site policy `{path}`",
            code="site-policy-unreadable",
            context=error.strerror,
            hint=f"chmod a+r {path}",
        ) from error
    if mode & stat.S_IWOTH:
        raise TrustError(
            f"anybody may write the site policy `{path}`",
            code="site-policy-writable",
            context=f"its mode is {stat.S_IMODE(mode):o}",
            hint=f"chmod o-w {path}",
        )
    from launcher.spec.site_file import read_site_policy

    return read_site_policy(data, file=str(path))
