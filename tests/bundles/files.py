"""Forgeries of the file set: changed, extra, missing, renamed, swapped, cut, and what is no plain file."""

import os
from collections.abc import Iterator
from pathlib import Path

from launcher.spec import bundle as names
from tests.bundles.case import Case, Forge
from tests.bundles.forging import (
    edit,
    fifo,
    folder,
    remove,
    rename,
    replace,
    symlink,
    then,
    unix_socket,
    write,
)

PLOT, LOG = "artifacts/0/plot.png", "logs/run-0.stdout"
_SWAPPED = "is not what SHA256SUMS says"


def cases() -> Iterator[Case]:
    """Yield the forgeries of files."""
    for some in (_changed, _moved, _extra):
        yield from some()
    yield from _sums()
    for some in (_links, _hard_links, _pipes, _sockets, _in_places, _empty):
        yield from some()
    yield Case(
        title="honest-odd-permissions",
        group="honest",
        attack="made files executable, set-user-ID and read-only, and folders sticky: none of it is signed",
        forge=_odd_permissions,
        exit_code=0,
    )


def _odd_permissions(bundle: Path) -> None:
    for number, path in enumerate(sorted(path for path in bundle.rglob("*") if path.is_file())):
        path.chmod((0o4755, 0o2755, 0o444, 0o777)[number % 4])
    for name in ("artifacts", "attestations"):
        (bundle / name).chmod(0o1777)


def _file(title: str, attack: str, forge: Forge, words: str, refused_by: str = "files") -> Case:
    return Case(title=title, group="files", attack=attack, forge=forge, words=words, refused_by=refused_by)


def _special_file(title: str, attack: str, forge: Forge, words: str) -> Case:
    return Case(
        title=title, group="special files", attack=attack, forge=forge, words=words, refused_by="files"
    )


def _changed() -> Iterator[Case]:
    for name in (*names.REQUIRED, *names.REQUIRED_ATTESTATIONS):
        label = name.replace("/", "-").replace(".", "-").lower()
        yield _file(f"missing-{label}", f"took `{name}` away", remove(name), f"no `{name}`")
    for name in (*names.REQUIRED, PLOT, LOG):
        if name == names.SUMS:
            continue
        label = name.replace("/", "-").replace(".", "-")
        attack, refused = f"added a line to `{name}`", "checksums"
        yield _file(f"appended-{label}", attack, edit(name, lambda it: it + b"\n"), _SWAPPED, refused)
    checks = {
        "changed-answer": ("turned a wrong answer into a right one", names.SAMPLES),
        "changed-value": ("wrote a better value into `result.json`", names.RESULT),
    }
    old_new = {names.SAMPLES: (b'"prediction":1,', b'"prediction":0,'), names.RESULT: (b"0.9", b"1.0")}
    for title, (attack, name) in checks.items():
        yield _file(title, attack, replace(name, *old_new[name]), _SWAPPED, "checksums")
    yield _file("cut-events", "cut the last byte off the events", _cut(names.EVENTS), _SWAPPED, "checksums")
    yield _file("emptied-result", "emptied `result.json`", write(names.RESULT, b""), _SWAPPED, "checksums")


def _moved() -> Iterator[Case]:
    swap = then(rename(PLOT, "swap"), rename(LOG, PLOT), rename("swap", LOG))
    yield _file("swapped-files", "gave the log the picture's name and back", swap, _SWAPPED, "checksums")
    moved = rename(PLOT, "artifacts/0/plot2.png")
    yield _file(
        "renamed-artifact", "gave an artifact another name", moved, "listed in SHA256SUMS", "checksums"
    )
    moved = rename(PLOT, "artifacts/1/plot.png")
    yield _file(
        "moved-artifact",
        "moved an artifact to another replicate",
        then(moved, remove("artifacts/0")),
        "listed in SHA256SUMS",
        "checksums",
    )
    yield _file(
        "missing-artifact",
        "took an artifact away, its folder too",
        remove("artifacts"),
        "listed in SHA256SUMS",
        "checksums",
    )


def _extra() -> Iterator[Case]:
    for title, name in {
        "extra-artifact": "artifacts/0/more.png",
        "extra-log": "logs/run-9.stdout",
        "extra-predictions": "predictions/0/answers.jsonl",
        "extra-commitments": "commitments.jsonl",
    }.items():
        yield _file(title, f"added `{name}`, listed nowhere", write(name, b"{}\n"), "not listed", "checksums")
    for title, name in {
        "extra-file": "README.md",
        "extra-folder": "more/file",
        "extra-dot-file": ".gitattributes",
        "extra-key": "key.pub",
        "extra-policy": "trust.toml",
        "extra-python": "sitecustomize.py",
        "extra-attestation-name": "attestations/x.json",
        "extra-attestation-folder": "attestations/more/result.sigstore.json",
    }.items():
        yield _file(title, f"added `{name}`, which no bundle has", write(name, b"{}\n"), "which it may not")


def _cut(name: str) -> Forge:
    return edit(name, lambda data: data[:-1])


def _sums() -> Iterator[Case]:
    def sums(title: str, attack: str, forge: Forge, words: str) -> Case:
        return _file(title, attack, forge, words, "checksums")

    lines = edit(names.SUMS, lambda data: b"".join(data.splitlines(keepends=True)[::-1]))
    yield sums("sums-out-of-order", "listed the files in another order", lines, "out of order")
    twice = edit(names.SUMS, lambda data: data + data.splitlines(keepends=True)[-1])
    yield sums("sums-twice", "listed a file twice", twice, "twice or out of order")
    other = edit(names.SUMS, lambda data: data + b"0" * 64 + b"  artifacts/0/more\n")
    yield sums("sums-of-what-is-not-there", "listed a file that is not there", other, "but not in the bundle")
    upper = edit(names.SUMS, lambda data: data[:64].upper() + data[64:])
    yield sums("sums-in-capitals", "wrote a digest in capitals", upper, "is not `SHA-256  path`")
    binary = edit(names.SUMS, lambda data: data.replace(b"  ", b" *", 1))
    yield sums("sums-binary-mark", "marked a file as binary", binary, "is not `SHA-256  path`")
    returns = edit(names.SUMS, lambda data: data.replace(b"\n", b"\r\n"))
    yield sums(
        "sums-carriage-returns", "ended the lines of SHA256SUMS with CR LF", returns, "line 1 of SHA256SUMS"
    )
    cut = edit(names.SUMS, lambda data: data[:-1])
    yield sums(
        "sums-without-last-line-feed", "cut the last line feed of SHA256SUMS", cut, "is not `SHA-256  path`"
    )
    comment = edit(names.SUMS, lambda data: b"# sums\n" + data)
    yield sums("sums-with-a-comment", "put a comment into SHA256SUMS", comment, "is not `SHA-256  path`")
    escaped = edit(names.SUMS, lambda data: b"\\" + data)
    yield sums("sums-escaped", "escaped a name as sha256sum does", escaped, "is not `SHA-256  path`")
    outside = edit(names.SUMS, lambda data: b"0" * 64 + b"  ../../secret\n" + data)
    yield sums("sums-of-a-file-outside", "listed `../../secret`", outside, "names no file that a bundle may")
    absolute = edit(names.SUMS, lambda data: b"0" * 64 + b"  /etc/hostname\n" + data)
    yield sums(
        "sums-of-an-absolute-path", "listed `/etc/hostname`", absolute, "names no file that a bundle may"
    )
    yield sums("sums-empty", "emptied SHA256SUMS", write(names.SUMS, b""), "not listed")
    yield sums(
        "sums-that-are-no-text",
        "wrote bytes into SHA256SUMS",
        write(names.SUMS, bytes(range(256))),
        "is not `SHA-256  path`",
    )


def _hard_link(name: str) -> Forge:
    return lambda bundle: os.link(bundle / name, bundle.parent / "second-name")


def _hard_link_inside(bundle: Path) -> None:
    (bundle / LOG).unlink()
    os.link(bundle / PLOT, bundle / LOG)


def _link_to_itself(bundle: Path) -> None:
    (bundle / names.LOCK).unlink()
    (bundle / names.LOCK).symlink_to(names.LOCK)


def _linked_folder(bundle: Path) -> None:
    (bundle / "artifacts").rename(bundle.parent / "artifacts")
    (bundle / "artifacts").symlink_to("../artifacts")


def _linked_attestations(bundle: Path) -> None:
    (bundle / "attestations").rename(bundle.parent / "attestations")
    (bundle / "attestations").symlink_to("../attestations")


def _moved_and_linked(name: str) -> Forge:
    def forge(bundle: Path) -> None:
        (bundle / name).rename(bundle.parent / "elsewhere")
        (bundle / name).symlink_to(os.path.relpath(bundle.parent / "elsewhere", (bundle / name).parent))

    return forge


def _links() -> Iterator[Case]:
    link = "symbolic link"
    yield _special_file(
        "link-to-a-file-outside", "moved the lock out and linked to it", _moved_and_linked(names.LOCK), link
    )
    yield _special_file(
        "link-to-a-secret",
        "linked `events.jsonl` to a file of the verifier's machine",
        then(remove(names.EVENTS), symlink(names.EVENTS, "/etc/hostname")),
        link,
    )
    yield _special_file(
        "link-to-a-device",
        "linked `resources.jsonl` to a device that never ends",
        then(remove(names.RESOURCES), symlink(names.RESOURCES, "/dev/zero")),
        link,
    )
    yield _special_file("link-to-itself", "linked a file to itself", _link_to_itself, link)
    yield _special_file(
        "link-within", "linked one artifact to another", symlink("artifacts/0/again.png", "plot.png"), link
    )
    yield _special_file(
        "link-dangling", "linked an artifact to nothing", symlink("artifacts/0/x", "nothing"), link
    )
    yield _special_file(
        "linked-sums", "moved SHA256SUMS out and linked to it", _moved_and_linked(names.SUMS), link
    )
    yield _special_file(
        "linked-attestation",
        "moved an attestation out and linked to it",
        _moved_and_linked(names.RESULT_ATTESTATION),
        link,
    )
    yield _special_file("linked-folder", "moved `artifacts/` out and linked to it", _linked_folder, link)
    yield _special_file(
        "linked-attestations",
        "moved `attestations/` out and linked to it",
        _linked_attestations,
        link,
    )
    yield _special_file(
        "link-to-the-parent", "linked a folder to its own parent", symlink("artifacts/0/up", ".."), link
    )


def _hard_links() -> Iterator[Case]:
    yield _special_file("hard-link", "gave a file a second name outside", _hard_link(names.LOCK), "hard link")
    yield _special_file(
        "hard-link-within", "gave two files of the bundle one body", _hard_link_inside, "hard link"
    )
    yield _special_file(
        "hard-linked-attestation",
        "gave an attestation a second name outside",
        _hard_link(names.RESULT_ATTESTATION),
        "hard link",
    )


def _pipes() -> Iterator[Case]:
    pipe = "FIFO"
    yield _special_file("fifo", "added a FIFO that nobody writes to", fifo("artifacts/0/pipe"), pipe)
    yield _special_file(
        "fifo-for-a-file", "put a FIFO in a file's place", then(remove(names.LOCK), fifo(names.LOCK)), pipe
    )
    yield _special_file(
        "fifo-for-sums",
        "put a FIFO in the place of SHA256SUMS",
        then(remove(names.SUMS), fifo(names.SUMS)),
        pipe,
    )
    yield _special_file(
        "fifo-for-an-attestation",
        "put a FIFO in an attestation's place",
        then(remove(names.RESULT_ATTESTATION), fifo(names.RESULT_ATTESTATION)),
        pipe,
    )


def _sockets() -> Iterator[Case]:
    yield _special_file("socket", "added a socket", unix_socket("artifacts/0/socket"), "socket")
    yield _special_file(
        "socket-for-a-file",
        "put a socket in a file's place",
        then(remove(names.EVENTS), unix_socket(names.EVENTS)),
        "socket",
    )


def _in_places() -> Iterator[Case]:
    yield _special_file(
        "folder-for-a-file",
        "put an empty folder in a file's place",
        then(remove(names.EVENTS), folder(names.EVENTS)),
        "which it may not",
    )
    yield _special_file(
        "folder-for-sums",
        "put a folder in the place of SHA256SUMS",
        then(remove(names.SUMS), write("SHA256SUMS/x", b"")),
        "which it may not",
    )
    yield _special_file(
        "folder-for-an-attestation",
        "put a folder in an attestation's place",
        then(remove(names.RESULT_ATTESTATION), write(names.RESULT_ATTESTATION + "/x", b"")),
        "which it may not",
    )
    yield _special_file(
        "file-for-attestations",
        "put a file in the place of `attestations/`",
        then(remove("attestations"), write("attestations", b"")),
        "which it may not",
    )
    yield _special_file(
        "file-for-artifacts",
        "put a file in the place of `artifacts/`",
        then(remove("artifacts"), write("artifacts", b"")),
        "which it may not",
    )


def _empty() -> Iterator[Case]:
    yield _special_file(
        "empty-folder", "added the folder `predictions/`, empty", folder("predictions"), "is empty"
    )
    yield _special_file(
        "empty-folders",
        "added folders in folders with nothing in them",
        folder("artifacts/1/2/3"),
        "is empty",
    )
    yield _special_file(
        "empty-attestations",
        "emptied `attestations/`",
        then(remove("attestations"), folder("attestations")),
        "is empty",
    )
