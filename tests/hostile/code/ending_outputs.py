"""Attacks by what is left in the folder of outputs."""

import contextlib
import os
import socket
import time

from endings import MIB, OUT, SAMPLES, be_honest, ending


@ending
def special_files() -> None:
    be_honest()
    (OUT / "link").symlink_to("/etc/passwd")
    (OUT / "loop").symlink_to(".")
    (OUT / "up").symlink_to("../../../../../..")
    (OUT / "first").write_text("x")
    os.link(OUT / "first", OUT / "second")
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.bind("/eval/out/socket")
    (OUT / "program").write_text("x")
    (OUT / "program").chmod(0o6755)


@ending
def samples_behind_a_link() -> None:
    SAMPLES.symlink_to("/eval/inputs/canary")


@ending
def samples_that_are_a_folder() -> None:
    SAMPLES.mkdir()


@ending
def outputs_behind_a_moving_link() -> None:
    """A folder that a daemon swaps for a link to / all the time, before and after the end."""
    be_honest()
    (OUT / "artifacts").mkdir()
    (OUT / "artifacts" / "passwd").write_text("mine")
    if os.fork() == 0:
        os.setsid()
        while True:
            with contextlib.suppress(OSError):
                os.rename(OUT / "artifacts", OUT / "kept")
                os.symlink("/etc", OUT / "artifacts")
                os.unlink(OUT / "artifacts")
                os.rename(OUT / "kept", OUT / "artifacts")
    time.sleep(0.5)


@ending
def odd_names() -> None:
    be_honest()
    names = [b"new\nline", b"\x1b[31mred", b"\xff\xfe", "\u202egnp.exe".encode(), b"a b", b"..hidden", b"-rf"]
    names += [b"back\\..\\slash", b"percent%2e%2e", b"c:colon", "e\u0301".encode(), b"x" * 255, b"'$(id)'"]
    for name in names:
        with contextlib.suppress(OSError):
            os.close(os.open(b"/eval/out/" + name, os.O_CREAT | os.O_WRONLY))


@ending
def names_of_another_case() -> None:
    be_honest()
    (OUT / "artifacts").mkdir()
    for name in ("Result", "result", "RESULT"):
        (OUT / "artifacts" / name).write_text(name)


@ending
def reserved_names() -> None:
    """Names that another system gives a meaning to."""
    be_honest()
    (OUT / "artifacts").mkdir()
    for name in ("CON", "aux.txt", "trailing."):
        (OUT / "artifacts" / name).write_text(name)


@ending
def deep_tree() -> None:
    be_honest()
    os.chdir(OUT)
    for _ in range(1500):
        os.mkdir("d")
        os.chdir("d")


@ending
def many_files() -> None:
    """As many files as the folder takes."""
    be_honest()
    (OUT / "artifacts").mkdir()
    with contextlib.suppress(OSError):
        for number in range(6_000):
            os.close(os.open(OUT / "artifacts" / str(number), os.O_CREAT | os.O_WRONLY))


@ending
def sparse_file() -> None:
    """A file of holes, as large as the bound on all outputs."""
    be_honest()
    with (OUT / "holes").open("wb") as file:
        os.truncate(file.fileno(), 64 * MIB)


@ending
def shut_folders() -> None:
    """Folders and files that their own owner may not read."""
    be_honest()
    (OUT / "shut").mkdir()
    (OUT / "shut" / "inside").write_text("x")
    (OUT / "shut").chmod(0)
    SAMPLES.chmod(0)
    OUT.chmod(0)


@ending
def attributes() -> None:
    """Extended attributes and access lists do not leave the container."""
    be_honest()
    (OUT / "artifacts").mkdir()
    path = OUT / "artifacts" / "file"
    path.write_text("x")
    for name in ("user.mark", "security.capability", "trusted.mark", "system.posix_acl_access"):
        with contextlib.suppress(OSError):
            os.setxattr(path, name, b"x")
    path.chmod(0o1777)
    os.utime(path, (0, 0))
