"""The grammars of what a blueprint names: images, places of inputs, repositories, paths, variables.

Each `explain_*` function returns what is wrong with a text, or the empty string. Beside it stands the regular
expression of the JSON Schema, which is as strict as one expression can be.
"""

import re
from typing import Literal

Transport = Literal["registry", "oci"]

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
BLUEPRINT_NAME = rf"{NAME}/{NAME}"
VERSION = r"(?:0|[1-9][0-9]{0,8})\.(?:0|[1-9][0-9]{0,8})\.(?:0|[1-9][0-9]{0,8})"
SHA256 = r"[0-9a-f]{64}"
DIGEST = rf"sha256:{SHA256}"
COMMIT = r"[0-9a-f]{40}"
DEFINITION = r"[a-z][a-z0-9-]*@[1-9][0-9]{0,3}|code:[^/\u0000-\u001f\\][^\u0000-\u001f\\]*"
MEASURED = rf"prediction|scores\.{NAME}"
PLATFORM = r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9]+)?"
HOST = r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?"
_BOUND = r"(?:>=|<=|==|>|<)[0-9]{1,9}(?:\.[0-9]{1,9}){0,3}"
VERSION_RANGE = rf"{_BOUND}(?:, ?{_BOUND})*"
VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
)
RESERVED_VARIABLES = frozenset({"HOME", "LC_ALL", "PYTHONHASHSEED", "SOURCE_DATE_EPOCH", "TZ"})
GPU_VARIABLES = frozenset(
    {"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"}
)
RESERVED_PREFIX = "EVALCTL_"

_DOMAIN = r"(?:localhost|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*)(?::[0-9]{1,5})?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"(?:{_DOMAIN}/)?{_COMPONENT}(?:/{_COMPONENT})*"
_PRINTABLE = r"[^\u0000-\u0020\u007f-\u00a0\u2028-\u202e]"
_LAYOUT = rf"oci:(?:{_PRINTABLE}| )+"

IMAGE = rf"(?:{_LAYOUT}|{_REPOSITORY})@{DIGEST}"
MIRROR = rf"{_LAYOUT}|{_REPOSITORY}"
TREE_PATH = r"(?!\.{0,2}(?:/|$))(?:(?!/\.{0,2}(?:/|$))[^\\\u0000-\u001f\u007f])*"
GIT = r"\S[^\u0000-\u001f\u007f]*"
URI = r"(?!git:|ftp:|data:)\S[^\u0000-\u001f\u007f]*"
HTTP = rf"https?://[^/@\s]+(?:/{_PRINTABLE}*)?"

SCHEMES = ("file", "http", "https", "s3", "gs", "hf", "oci", "git+https", "doi")


def split_image(text: str) -> tuple[Transport, str, str]:
    """Return transport, location and digest of a well-formed image reference."""
    location, digest = text.rsplit("@", 1)
    return (*split_mirror(location), digest)


def split_mirror(text: str) -> tuple[Transport, str]:
    """Return transport and location of a well-formed mirror."""
    return ("oci", text[4:]) if text.startswith("oci:") else ("registry", text)


def explain_sha256(text: str) -> str:
    """Say why `text` is not the hexadecimal form of a SHA-256."""
    if text.startswith("sha256:"):
        return "leave out `sha256:`"
    if not text:
        return "`evalctl pin` fills it in"
    if re.fullmatch("[0-9a-fA-F]*", text) is None:
        return "it holds other characters"
    if len(text) != 64:
        return f"it has {len(text)} digits"
    return "" if re.fullmatch(SHA256, text) else "write the letters in lower case"


def explain_image(text: str) -> str:
    """Say why `text` does not name an image by digest."""
    location, at, digest = text.rpartition("@")
    if not at:
        tag = _tag(text)
        moved = f"`{tag}` is a tag, and tags move; " if tag else ""
        return f"{moved}end it with `@sha256:` and the 64 hex digits of the manifest or index"
    if re.fullmatch(DIGEST, digest) is None:
        return "behind `@` must stand `sha256:` and 64 lowercase hex digits"
    if tag := _tag(location):
        return f"a digest and a tag contradict each other; leave out `:{tag}`"
    return "" if re.fullmatch(MIRROR, location) else "before `@` must stand `REGISTRY/NAME` or `oci:PATH`"


def explain_mirror(text: str) -> str:
    """Say why `text` is not a place where images may be had."""
    if "@" in text:
        return "the digest of `ref` decides; leave out what follows `@`"
    if tag := _tag(text):
        return f"the digest of `ref` decides; leave out the tag `:{tag}`"
    return "" if re.fullmatch(MIRROR, text) else "write `REGISTRY/NAME` or `oci:PATH`"


def _tag(location: str) -> str:
    if location.startswith("oci:"):
        return ""
    last = location.rsplit("/", 1)[-1]
    return last.partition(":")[2]


def is_web(uri: str) -> bool:
    """Say whether `uri` is fetched over http or https; all else that this version takes is a path."""
    return uri.startswith(("http://", "https://"))


def is_plain_path(path: str) -> bool:
    """Say whether `path` is relative and leads down only, by parts that are names."""
    return not any(part in ("", ".", "..") for part in path.split("/")) and "\0" not in path


def explain_uri(text: str) -> str:
    """Say why `text` does not say where an input may be found."""
    if re.fullmatch(GIT, text) is None:
        return "it is empty, starts with a space or holds control characters; write a path or an address"
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", text)
    if match is None:
        return ""
    if match[1] not in SCHEMES:
        known = ", ".join(f"{scheme}:" for scheme in SCHEMES)
        return f"the scheme `{match[1]}:` is unknown; known are {known} (a file may also be a plain path)"
    if match[1] in ("http", "https", "git+https"):
        return _explain_address(text)
    return "" if len(text) > match.end() else "write behind the scheme what it names"


def explain_git(text: str) -> str:
    """Say why `text` does not name a repository or a `git bundle` file."""
    if re.fullmatch(GIT, text) is None or text.startswith("-"):
        return (
            "it is empty, starts with a space or `-`, or holds control characters; write a path or an address"
        )
    return _explain_address(text) if text.startswith(("http:", "https:")) else ""


def _explain_address(text: str) -> str:
    match = re.match(r"(?:git\+)?https?://([^/?#]*)", text)
    if match is None or not match[1]:
        return "write it as `https://HOST/PATH`"
    if "@" in match[1]:
        return (
            "no user or password may stand in a blueprint, which is published with every result; leave it out"
        )
    return "it holds a space: write `%20`" if " " in text else ""


def explain_tree_path(text: str) -> str:
    """Say why `text` is not a path inside a code tree."""
    if re.search(r"[\u0000-\u001f\u007f\\]", text):
        return "it holds a backslash or control characters; write `/` between its parts"
    if text.startswith("/"):
        return "it is absolute; paths start at the root of the commit's tree"
    if not is_plain_path(text):
        return "no part of it may be empty, `.` or `..`; leave such parts out"
    return ""


def explain_variable(text: str) -> str:
    """Say why a blueprint may not set the environment variable `text`."""
    if re.fullmatch(VARIABLE, text) is None:
        return "letters, digits and `_`, not a digit first"
    if text in RESERVED_VARIABLES or text.startswith(RESERVED_PREFIX):
        return "evalctl sets it itself; leave it out"
    if text in GPU_VARIABLES:
        return "evalctl decides which GPUs a container sees: ask for them in `[resources.gpu]`; leave it out"
    return "evalctl sets it to match `cpus`; leave it out" if text in THREAD_VARIABLES else ""
