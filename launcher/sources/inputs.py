"""Fetch data and models by checksum into the cache; where they are found never matters."""

import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from launcher.errors import InfrastructureError
from launcher.spec.blueprint import Input
from launcher.spec.grammars import is_web
from launcher.store.cache import Cache
from launcher.store.trees import folder_members

if TYPE_CHECKING:
    import http.client
    import urllib.request

_CHUNK = 1 << 20
_ATTEMPTS = 5
_TIMEOUT_SECONDS = 60
_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class FetchSettings(Struct, frozen=True):
    """Where relative paths start, and whether the network may be used.

    `say` tells of progress; `retried` is told the name of an input and what kind of error was met, each time
    that a download is tried again.
    """

    base: Path
    offline: bool = False
    say: Callable[[str], None] = lambda _: None
    retried: Callable[[str, str], None] = lambda *_: None


class Fetched(Struct, frozen=True):
    """An input at hand: `path` is what is mounted, `sha256` and `size` are of what was fetched.

    `tree` says that it was fetched as a folder, and `sha256` is a tree digest.
    """

    path: Path
    sha256: str
    size: int
    tree: bool = False


def fetch_input(item: Input, cache: Cache, settings: FetchSettings) -> Fetched:
    """Return `item` from the cache, fetching it when the cache lacks it, and unpacked where it says so.

    Raises `InfrastructureError` when it is not to be had, or has another checksum or size.
    """
    fetched = _held(item, cache) or _fetch(item, cache, settings)
    if item.size not in (None, fetched.size):
        raise InfrastructureError(
            f"`{item.name}` has another size than the blueprint says",
            code="input-size-mismatch",
            context=f"expected {item.size} bytes, got {fetched.size}",
            hint="correct `size` in the blueprint",
        )
    return fetched if item.unpack == "none" else _unpacked(item, fetched, cache, settings)


def identify(name: str, uri: str, cache: Cache, settings: FetchSettings) -> Fetched:
    """Fetch what `uri` (a file, a folder, or http(s)) names now, whatever it is, and keep it by its digest.

    Raises `InfrastructureError` when it is not to be had.
    """
    item = Input("data", name, uri, "")
    if (folder := _folder(uri, settings)) is not None:
        entry = cache.trees.put(folder_members(folder, what=name), what=name)
        return Fetched(entry.root, entry.sha256, entry.size, tree=True)
    path = cache.put(_chunks(item, settings), None, what=name)
    return Fetched(path, path.name, path.stat().st_size)


def _held(item: Input, cache: Cache) -> Fetched | None:
    if path := cache.find(item.sha256):
        return Fetched(path, item.sha256, path.stat().st_size)
    entry = cache.trees.find(item.sha256) if item.unpack == "none" else None
    return Fetched(entry.root, entry.sha256, entry.size, tree=True) if entry else None


def _fetch(item: Input, cache: Cache, settings: FetchSettings) -> Fetched:
    settings.say(f"fetching {item.name} from {redacted(item.uri)}")
    folder = _folder(item.uri, settings)
    if folder is not None and item.unpack == "none":
        members = folder_members(folder, what=item.name)
        entry = cache.trees.put(members, what=item.name, expected=item.sha256)
        return Fetched(entry.root, entry.sha256, entry.size, tree=True)
    path = cache.put(_chunks(item, settings), item.sha256, what=item.name, limit=item.size)
    return Fetched(path, item.sha256, path.stat().st_size)


def _folder(uri: str, settings: FetchSettings) -> Path | None:
    if is_web(uri):
        return None
    path = local_path(uri, settings.base)
    return path if path.is_dir() else None


def _unpacked(item: Input, fetched: Fetched, cache: Cache, settings: FetchSettings) -> Fetched:
    """Return `fetched` with the place of what is in it; the checksum stays that of the archive."""
    from launcher.sources.unpack import WHOLE, is_one_file, unpacked_members

    key = f"{item.unpack}-{item.sha256}"
    entry = cache.trees.find(key)
    if entry is None:
        settings.say(f"unpacking {item.name}")
        members = unpacked_members(fetched.path, item.unpack, what=item.name)
        entry = cache.trees.put(members, what=item.name, key=key)
    path = entry.root / WHOLE if is_one_file(item.unpack) else entry.root
    return replace(fetched, path=path)


def redacted(uri: str) -> str:
    """Return `uri` without user, password, query and fragment, which may hold secrets."""
    try:
        parts = urllib.parse.urlsplit(uri)
    except ValueError:
        return f"{uri.partition(':')[0]}:..."
    if not parts.netloc:
        return uri
    host = parts.netloc.rpartition("@")[2]
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))


def _chunks(item: Input, settings: FetchSettings) -> Iterator[bytes]:
    if is_web(item.uri):
        if settings.offline:
            raise InfrastructureError(
                f"`{item.name}` is not in the cache, and `--offline` forbids to fetch it",
                code="input-not-cached",
                context=redacted(item.uri),
                hint="launch once without --offline",
            )
        return _download(item, settings)
    return _read_file(item, local_path(item.uri, settings.base))


def local_path(uri: str, base: Path) -> Path:
    """Return the file that `uri` (a path, or `file:` and a path) names, seen from `base`."""
    path = urllib.parse.unquote(urllib.parse.urlsplit(uri).path) if uri.startswith("file:") else uri
    return base / path


def _read_file(item: Input, path: Path) -> Iterator[bytes]:
    if not path.is_file():
        raise InfrastructureError(
            f"`{item.name}` is not to be had",
            code="input-not-found",
            context=f"there is no regular file or folder `{path}`",
            hint="correct `uri` in the blueprint, or name its folder with `--blueprint-dir`",
        )
    try:
        with path.open("rb", buffering=0) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise InfrastructureError(
            f"`{item.name}` cannot be read",
            code="input-not-readable",
            context=f"`{path}`: {error.strerror}",
            hint="make the file readable",
        ) from error


def _download(item: Input, settings: FetchSettings) -> Iterator[bytes]:
    """Yield the body; failures that may pass are tried again from the start of the request.

    A connection that breaks in the body resumes at the byte it reached where the server can (RFC 9110,
    section 14), else the attempt fails: the checksum decides in either case.
    """
    import http.client

    received = 0
    for attempt in range(_ATTEMPTS):
        response = _open(item, received, settings)
        try:
            while chunk := response.read(_CHUNK):
                received += len(chunk)
                yield chunk
            if not response.length:
                return
        except (OSError, http.client.HTTPException) as error:
            if attempt == _ATTEMPTS - 1:
                raise _unreachable(item, error) from error
            settings.retried(item.name, _kind(error))
        finally:
            response.close()
    raise _unreachable(item, EOFError("the connection ended early each time"))


def _open(item: Input, offset: int, settings: FetchSettings) -> "http.client.HTTPResponse":
    """Open `item.uri` at byte `offset`, waiting longer after each passing failure (tenacity)."""
    import http.client

    import tenacity

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(passes),
        wait=tenacity.wait_exponential(multiplier=0.2, max=10) + tenacity.wait_random(0, 0.2),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        before_sleep=lambda state: settings.retried(
            item.name, _kind(state.outcome.exception() if state.outcome else None)
        ),
        reraise=True,
    )
    try:
        response: http.client.HTTPResponse = retrying(_request, item.uri, offset)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _unreachable(item, error) from error
    if offset and response.status != 206:
        response.close()
        raise _unreachable(item, EOFError("the connection ended early, and the server cannot resume"))
    return response


def _request(uri: str, offset: int) -> "http.client.HTTPResponse":
    """Send one request; redirects lead to http and https alone, never to files or other protocols."""
    import urllib.request

    headers = {"User-Agent": "evalctl-launcher", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    request = urllib.request.Request(uri, headers=headers)  # noqa: S310 - the scheme is http or https
    response: http.client.HTTPResponse = opener().open(request, timeout=_TIMEOUT_SECONDS)
    return response


def opener() -> "urllib.request.OpenerDirector":
    """Return what opens http and https, through this machine's proxies, and nothing else."""
    import urllib.request

    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        director.add_handler(handler())
    return director


def passes(error: BaseException) -> bool:
    """Say whether a failed request may succeed when it is tried again."""
    import http.client
    import socket
    import urllib.error

    if isinstance(error, urllib.error.HTTPError):
        return error.code in _PASSING_STATUSES
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, socket.gaierror):
        return reason.errno == socket.EAI_AGAIN
    return isinstance(reason, OSError | http.client.BadStatusLine)


def _kind(error: BaseException | None) -> str:
    """Name an error without the address, which may hold a secret."""
    status = getattr(error, "code", None)
    return f"HTTP {status}" if isinstance(status, int) else type(error).__name__


def _unreachable(item: Input, error: BaseException) -> InfrastructureError:
    return InfrastructureError(
        f"`{item.name}` is not to be had",
        code="input-not-found",
        context=f"{redacted(item.uri)}: {error}",
        hint="correct `uri` in the blueprint, or try again when the server answers",
    )
