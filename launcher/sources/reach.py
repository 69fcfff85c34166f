"""Ask a server whether it has something, without fetching it."""

from launcher.sources.inputs import opener, redacted

_SECONDS = 10
# A server that refuses to answer the question without a body has still answered.
_ANSWERS = frozenset({405, 501})


def unreachable(uri: str) -> str:
    """Return why `uri` (http or https) does not answer, empty where it does."""
    import http.client
    import urllib.error
    import urllib.request

    try:
        request = urllib.request.Request(uri, method="HEAD", headers={"User-Agent": "evalctl-launcher"})  # noqa: S310
        opener().open(request, timeout=_SECONDS).close()
    except urllib.error.HTTPError as error:
        return "" if error.code in _ANSWERS else f"{redacted(uri)}: {error}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{redacted(uri)}: {getattr(error, 'reason', None) or error}"
    return ""
