"""`evalctl import`."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from launcher.cli.options import Json, PassphraseDescriptor, SigningKey, TimestampUrl
from launcher.cli.output import print_json, say, say_next
from launcher.cli.results import as_object
from launcher.cli.signing import authority_for, missing_timestamps, read_signer
from launcher.cli.site import SiteFile, site_authority
from launcher.exchange.import_logs import ImportedBundle, Importer, import_logs
from launcher.report.reading import BundleView, read_view
from launcher.report.terminal import summary
from launcher.store.bundles import copy_out, require_empty
from launcher.store.home import find_home

Logs = Annotated[
    list[Path],
    typer.Argument(metavar="LOG...", help="Logs, or folders of logs, of lm-eval or Inspect."),
]
ImportedTo = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Copy the bundle here; of several tasks, one folder each, numbered."),
]


def import_(
    logs: Logs,
    out: ImportedTo = None,
    key: SigningKey = None,
    passphrase_fd: PassphraseDescriptor = None,
    timestamp: TimestampUrl = None,
    site: SiteFile = None,
    as_json: Json = False,
) -> int:
    """Bring in logs of lm-eval or Inspect, unsigned.

    Makes one bundle of each task, signed by you: its metrics are computed from the samples and held against
    what the harness says. Nobody signed the logs, so every view says "imported, unsigned origin".
    `evalctl verify` checks such a bundle; `evalctl reproduce` cannot launch it. The last line on stdout is
    the last bundle's path.
    """
    home = find_home()
    if out is not None:
        require_empty(out)
    signer = read_signer(home, key, passphrase_fd, authority_for(timestamp, site_authority(site)))
    imported = import_logs(logs, Importer(home, signer))
    places = _places(imported, out)
    views = [read_view(place) for place in places]
    if as_json:
        listed = [as_object(*pair) for pair in zip(views, places, strict=True)]
        print_json({"bundles": listed, "remarks": missing_timestamps(signer)})
        return 0
    for number, (one, view, place) in enumerate(zip(imported, views, places, strict=True)):
        if number:
            print()
        if one.reused:
            say(f"`{one.task}` was imported from these logs before")
        print(summary(view))
        print(place)
    for remark in missing_timestamps(signer):
        say(f"note: {remark}")
    _say_next(views, out)
    return 0


def _say_next(views: list[BundleView], out: Path | None) -> None:
    if len(views) > 1:
        say_next("evalctl list" if out is None else f"evalctl show {quote(str(out / '1'))}")
    elif views:
        name = quote(str(out)) if out else views[0].digest.removeprefix("sha256:")[:12]
        say_next(f"evalctl report {name} --out report.html")


def _places(imported: list[ImportedBundle], out: Path | None) -> list[Path]:
    if out is None:
        return [one.path for one in imported]
    if len(imported) == 1:
        return [copy_out(imported[0].path, out)]
    return [copy_out(one.path, out / str(number)) for number, one in enumerate(imported, start=1)]
