"""Which public keys a person means: one in a file, or some of those that somebody publishes."""

from pathlib import Path

from launcher.cli.output import say
from launcher.cli.signing import owner_of
from launcher.errors import MalformedError
from launcher.trust.key_files import load_public_file
from launcher.trust.keys import PublicKey, is_fingerprint


def chosen_keys(
    file: Path | None, url: str | None, fingerprints: list[str] | None, name: str, *, yes: bool
) -> dict[str, PublicKey]:
    """Return the keys that the command line names, under the names that they are to have."""
    if (file is None) == (url is None):
        raise MalformedError(
            "name one public key",
            code="usage",
            hint="evalctl trust add NAME.pub, or --from https://HOST/USER.keys",
        )
    if file is not None:
        if fingerprints or yes:
            raise MalformedError("`--fingerprint` and `--yes` go with `--from`", code="usage")
        return {name or owner_of(file): load_public_file(file)}
    return _published(url or "", fingerprints or [], name, yes=yes)


def _published(url: str, fingerprints: list[str], name: str, *, yes: bool) -> dict[str, PublicKey]:
    from launcher.sources.published_keys import fetch_published_keys

    for fingerprint in fingerprints:
        if not is_fingerprint(fingerprint):
            raise MalformedError(
                f"{fingerprint[:60]!a} is no fingerprint", code="usage", hint="`evalctl key show` prints one"
            )
    found = fetch_published_keys(url)
    for other in found.others:
        say(f"left out: a key of the kind {other}, which cannot sign here")
    if not found.keys:
        raise MalformedError(
            "there is no Ed25519 or P-256 key",
            code="no-published-keys",
            context=f"{len(found.others)} others",
        )
    for public in found.keys:
        say(f"published: {public.fingerprint} ({public.algorithm})")
    taken = _taken({public.fingerprint: public for public in found.keys}, url, fingerprints, yes=yes)
    base = name or owner_of(Path(url.rstrip("/").rpartition("/")[2].removesuffix(".keys") or "key"))
    return {base if number == 1 else f"{base}-{number}": public for number, public in enumerate(taken, 1)}


def _taken(
    published: dict[str, PublicKey], url: str, fingerprints: list[str], *, yes: bool
) -> list[PublicKey]:
    for fingerprint in fingerprints:
        if fingerprint not in published:
            raise MalformedError(
                f"{fingerprint} is not among the published keys",
                code="no-such-key",
                context=f"there are {', '.join(published)}",
                hint="ask the key's owner which key is theirs",
            )
    if fingerprints:
        return [published[fingerprint] for fingerprint in dict.fromkeys(fingerprints)]
    if not yes:
        raise MalformedError(
            "say which of the published keys to trust",
            code="usage",
            hint=f"compare with its owner, then add `--fingerprint {next(iter(published))}`",
        )
    if not url.startswith("https://"):
        raise MalformedError(
            "`--yes` goes with https:// alone",
            code="usage",
            context="anybody on the way can change an answer over http://",
            hint="compare with the key's owner, then name it with `--fingerprint`",
        )
    return list(published.values())
