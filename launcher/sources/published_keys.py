"""Fetch the SSH keys that somebody publishes, as forges do under `/USER.keys`: one small answer."""

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from launcher.errors import InfrastructureError, MalformedError
from launcher.sources.inputs import redacted
from launcher.trust.keys import PublicKey, load_public

if TYPE_CHECKING:
    import queue
    import urllib.request

MAX_BYTES: Final = 1 << 16
MAX_LINES: Final = 100
_SECONDS: Final = 20


class PublishedKeys(Struct, frozen=True):
    """The keys that evalctl can use, in their order, and a word on each line that it cannot."""

    keys: tuple[PublicKey, ...]
    others: tuple[str, ...]


def fetch_published_keys(url: str, *, seconds: float = _SECONDS) -> PublishedKeys:
    """Return the keys at `url`, within 64 KiB and `seconds`; redirects are not followed.

    Raises `MalformedError` for another kind of address or answer, `InfrastructureError` for the network.
    """
    if re.match(r"https?://[^/?#@\s]+(?:[/?#]|$)", url) is None:
        raise MalformedError(
            f"`{redacted(url)}` is not the address of published keys",
            code="usage",
            context="expected https://HOST/... or http://HOST/..., without a password",
            hint="evalctl trust add --from https://HOST/USER.keys",
        )
    data = _fetch(url, seconds)
    if len(data) > MAX_BYTES:
        raise _no_keys(url, f"the answer is larger than {MAX_BYTES} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _no_keys(url, "the answer is not text") from error
    return read_published_keys(text, url)


def read_published_keys(text: str, url: str) -> PublishedKeys:
    """Return what the lines of `text` say; each key once."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) > MAX_LINES:
        raise _no_keys(url, f"the answer has {len(lines)} lines; at most {MAX_LINES} are looked at")
    keys, others = dict[PublicKey, None](), list[str]()
    for line in lines:
        try:
            keys[load_public(line)] = None
        except MalformedError:
            others.append(re.sub(r"[^\x21-\x7e]", "?", line.split(" ", 1)[0])[:40])
    return PublishedKeys(tuple(keys), tuple(others))


def _fetch(url: str, seconds: float) -> bytes:
    """Return the answer's bytes; a thread that the process may leave behind bounds the whole of it."""
    import queue
    import threading

    answers: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()
    threading.Thread(target=_answer, args=(url, seconds, answers), daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        answer = TimeoutError(f"no whole answer within {seconds:g} s")
    if isinstance(answer, bytes):
        return answer
    raise InfrastructureError(
        f"cannot fetch `{redacted(url)}`",
        code="keys-not-fetched",
        context=_reason(answer),
        hint="check the address, or get the public key as a file: `evalctl trust add NAME.pub`",
    ) from answer


def _answer(url: str, seconds: float, answers: "queue.SimpleQueue[bytes | Exception]") -> None:
    import http.client

    try:
        with _opener().open(url, timeout=seconds) as response:
            answers.put(response.read(MAX_BYTES + 1))
    except (OSError, ValueError, http.client.HTTPException) as error:
        answers.put(error)


def _reason(error: Exception) -> str:
    import urllib.error

    if not isinstance(error, urllib.error.HTTPError):
        return str(getattr(error, "reason", None) or error)
    if place := error.headers.get("Location"):
        return f"it leads elsewhere ({error.code}), which is not followed: {place[:200]!a}"
    return str(error)


def _opener() -> "urllib.request.OpenerDirector":
    """Return what opens http and https through this machine's proxies, and follows nothing."""
    import urllib.request

    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        director.add_handler(handler())
    director.addheaders = [("User-Agent", "evalctl-launcher"), ("Accept-Encoding", "identity")]
    return director


def _no_keys(url: str, reason: str) -> MalformedError:
    return MalformedError(
        f"`{redacted(url)}` holds no published keys",
        code="no-published-keys",
        context=reason,
        hint="get the public key as a file: `evalctl trust add NAME.pub`",
    )
