"""Fetch data and models by checksum into the cache; where they are found never matters."""

import hashlib
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from launcher.errors import InfrastructureError
from launcher.spec.blueprint import Input
from launcher.store.cache import Cache

if TYPE_CHECKING:
    import http.client

_CHUNK = 1 << 20
_ATTEMPTS = 5
_TIMEOUT_SECONDS = 60
_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class FetchSettings(Struct, frozen=True):
    """Where relative paths start, and whether the network may be used; `say` tells of progress."""

    base: Path
    offline: bool = False
    say: Callable[[str], None] = lambda _: None


def fetch_input(item: Input, cache: Cache, settings: FetchSettings) -> Path:
    """Return the cached file of `item`, fetching it when the cache lacks it.

    Raises `InfrastructureError` when it is not to be had, or has another checksum or size.
    """
    path = cache.find(item.sha256)
    if path is None:
        settings.say(f"fetching {item.name} from {redacted(item.uri)}")
        path = cache.put(_chunks(item, settings), item.sha256, what=item.name, limit=item.size)
    size = path.stat().st_size
    if item.size is not None and size != item.size:
        raise InfrastructureError(
            f"`{item.name}` has another size than the blueprint says",
            code="input-size-mismatch",
            context=f"expected {item.size} bytes, got {size}",
            hint="correct `size` in the blueprint",
        )
    return path


def measure_input(item: Input, cache: Cache, settings: FetchSettings) -> tuple[str, int]:
    """Return the SHA-256 in hex and the size of what `item.uri` has now; what is downloaded stays in `cache`.

    Raises `InfrastructureError` when it is not to be had.
    """
    settings.say(f"reading {item.name} from {redacted(item.uri)}")
    if item.uri.startswith(("http://", "https://")):
        return cache.put_unknown(_chunks(item, settings), what=item.name)
    state, size = hashlib.sha256(), 0
    for chunk in _chunks(item, settings):
        state.update(chunk)
        size += len(chunk)
    return state.hexdigest(), size


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
    if item.uri.startswith(("http://", "https://")):
        if settings.offline:
            raise InfrastructureError(
                f"`{item.name}` is not in the cache, and `--offline` forbids to fetch it",
                code="input-not-cached",
                context=redacted(item.uri),
                hint="launch once without --offline",
            )
        return _download(item)
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
            context=f"there is no regular file `{path}`",
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


def _download(item: Input) -> Iterator[bytes]:
    """Yield the body; failures that may pass are tried again from the start of the request.

    A connection that breaks in the body resumes at the byte it reached where the server can (RFC 9110,
    section 14), else the attempt fails: the checksum decides in either case.
    """
    import http.client

    received = 0
    for attempt in range(_ATTEMPTS):
        response = _open(item, received)
        try:
            while chunk := response.read(_CHUNK):
                received += len(chunk)
                yield chunk
            if not response.length:
                return
        except (OSError, http.client.HTTPException) as error:
            if attempt == _ATTEMPTS - 1:
                raise _unreachable(item, error) from error
        finally:
            response.close()
    raise _unreachable(item, EOFError("the connection ended early each time"))


def _open(item: Input, offset: int) -> "http.client.HTTPResponse":
    """Open `item.uri` at byte `offset`, waiting longer after each passing failure (tenacity)."""
    import http.client

    import tenacity

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_passes),
        wait=tenacity.wait_exponential(multiplier=0.2, max=10) + tenacity.wait_random(0, 0.2),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
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
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    response: http.client.HTTPResponse = opener.open(request, timeout=_TIMEOUT_SECONDS)
    return response


def _passes(error: BaseException) -> bool:
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


def _unreachable(item: Input, error: BaseException) -> InfrastructureError:
    return InfrastructureError(
        f"`{item.name}` is not to be had",
        code="input-not-found",
        context=f"{redacted(item.uri)}: {error}",
        hint="correct `uri` in the blueprint, or try again when the server answers",
    )
