"""Ask a timestamp authority (RFC 3161) over http or https to vouch for the time of a signature."""

from typing import Final

from launcher.errors import EvalctlError, InfrastructureError, MalformedError, RequirementError
from launcher.sources.inputs import redacted
from launcher.sources.posting import post
from launcher.spec.grammars import is_web
from launcher.trust.keys import Signer
from launcher.trust.timestamps import MAX_TIMESTAMP_BYTES, StampedSigner, stamped_time

_QUERY: Final = "application/timestamp-query"
_REPLY: Final = "application/timestamp-reply"


class Stamping:
    """Has signatures timestamped: the first must be, or it raises; `missed` counts the later ones without.

    So who asks for timestamps knows before a long run whether there are any, and no run is lost for one.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.missed = 0
        self._answered = False

    def __call__(self, signature: bytes) -> bytes | None:
        """Return the authority's response over `signature`; only the first raises `InfrastructureError`."""
        try:
            token = _ask(self.url, signature)
        except InfrastructureError:
            if not self._answered:
                raise
            self.missed += 1
            return None
        self._answered = True
        return token

    @property
    def remarks(self) -> tuple[str, ...]:
        """Say what lacks its timestamp."""
        if not self.missed:
            return ()
        which = "one signature has" if self.missed == 1 else f"{self.missed} signatures have"
        return (f"{which} no timestamp: {redacted(self.url)} stopped answering",)


def stamped(signer: Signer, url: str) -> StampedSigner:
    """Return what signs as `signer` does and has each signature timestamped by the authority at `url`.

    Raises `MalformedError` for what is no such address, `RequirementError` where the extra is missing.
    """
    if not is_web(url):
        raise MalformedError(
            f"`{redacted(url)}` is no timestamp authority",
            code="usage",
            context="expected an http or https address",
            hint="for example `--timestamp http://tsa.example.org/`",
        )
    try:
        import rfc3161_client  # noqa: F401 - is the extra installed?
    except ImportError as error:
        raise RequirementError(
            "timestamps need the extra `timestamps`",
            code="extra-missing",
            context="the package rfc3161-client is not installed",
            hint="pip install 'evalctl-launcher[timestamps]'",
        ) from error
    return StampedSigner(signer, Stamping(url))


def _ask(url: str, signature: bytes) -> bytes:
    import http.client

    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    request = TimestampRequestBuilder().data(signature).hash_algorithm(HashAlgorithm.SHA256).build()
    try:
        answer, kind = post(url, request.as_bytes(), _QUERY, most=MAX_TIMESTAMP_BYTES + 1)
    except (OSError, ValueError, http.client.HTTPException) as error:
        # What the standard library says of a status names it, and of a connection only its reason does.
        said = error if hasattr(error, "code") else getattr(error, "reason", None) or error
        raise _failed(url, str(said)) from error
    if len(answer) > MAX_TIMESTAMP_BYTES:
        raise _failed(url, f"its answer has more than {MAX_TIMESTAMP_BYTES} bytes")
    if kind != _REPLY:
        raise _failed(url, f"its answer is `{kind}`, not `{_REPLY}`")
    try:
        stamped_time(answer, signature, request.nonce)
    except EvalctlError as error:
        raise _failed(url, error.in_words) from error
    except Exception as error:
        raise _failed(url, "its answer is malformed") from error
    return answer


def _failed(url: str, context: str) -> InfrastructureError:
    return InfrastructureError(
        "the timestamp authority gives no timestamp",
        code="timestamp-failed",
        context=f"{redacted(url)}: {context}",
        hint="try another authority, or launch without `--timestamp`",
    )
