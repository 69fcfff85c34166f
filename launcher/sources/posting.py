"""Send a small request to a server and return its small answer, tried again while that may help."""

from launcher.sources.inputs import opener, passes

_ATTEMPTS = 4
_TIMEOUT_SECONDS = 20


def post(url: str, body: bytes, kind: str, *, most: int) -> tuple[bytes, str]:
    """Return the answer's bytes, of which `most` are read, and its media type.

    Raises `OSError`, `ValueError` or `http.client.HTTPException` once trying again does not help.
    """
    import tenacity

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(passes),
        wait=tenacity.wait_exponential(multiplier=0.2, max=5) + tenacity.wait_random(0, 0.2),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        reraise=True,
    )
    answer: tuple[bytes, str] = retrying(_post, url, body, kind, most)
    return answer


def _post(url: str, body: bytes, kind: str, most: int) -> tuple[bytes, str]:
    import urllib.request

    headers = {"User-Agent": "evalctl-launcher", "Content-Type": kind, "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - http or https alone
    with opener().open(request, timeout=_TIMEOUT_SECONDS) as response:
        return response.read(most), response.headers.get_content_type()
