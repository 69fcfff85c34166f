"""Run what one wrote oneself, make devices, and fill every folder that can be written."""

import mmap
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
from pathlib import Path

from attempt import attempt, word_of, words_of


@attempt
def devices() -> str:
    """The device nodes that open, other than the harmless five."""
    harmless = {"null", "zero", "full", "random", "urandom"}
    found = []
    for folder, _, names in os.walk("/dev"):
        for name in names:
            path = os.path.join(folder, name)
            if stat.S_ISCHR(os.lstat(path).st_mode) or stat.S_ISBLK(os.lstat(path).st_mode):
                opens = word_of(lambda path=path: os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK)))
                found += [name] if opens == "done" and name not in harmless else []
    return " ".join(sorted(found)) or "harmless only"


@attempt
def make_devices() -> str:
    answer = words_of(
        lambda: os.mknod("/tmp/memory", stat.S_IFCHR | 0o666, os.makedev(1, 1)),
        lambda: os.mknod("/eval/out/disk", stat.S_IFBLK | 0o666, os.makedev(8, 0)),
        lambda: os.mkfifo("/eval/out/fifo"),
    )
    for name in ("disk", "fifo"):
        Path("/eval/out", name).unlink(missing_ok=True)
    return answer


def copy_program(place: str) -> str:
    target = f"{place}/program"
    shutil.copy("/eval/code/low", target)
    os.chmod(target, 0o755)
    return target


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, check=False)
    return f"exit {done.returncode}"


@attempt
def execute_scratch() -> str:
    places = ("/tmp", "/eval/out", "/dev/shm")
    return words_of(*(lambda p=place: run(copy_program(p), "hello") for place in places))


@attempt
def execute_scratch_through_the_loader() -> str:
    program = copy_program("/tmp")
    loaders = [str(path) for path in Path("/lib64").glob("ld-linux*")]
    done = subprocess.run([*loaders[:1], program, "hello"], capture_output=True, check=False)
    return "ran" if done.returncode == 0 else "refused"


@attempt
def map_scratch_executable() -> str:
    def executable(place: str) -> None:
        descriptor = os.open(copy_program(place), os.O_RDONLY)
        mmap.mmap(descriptor, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)

    return words_of(*(lambda p=place: executable(p) for place in ("/tmp", "/eval/out", "/dev/shm")))


@attempt
def execute_by_descriptor() -> str:
    def executed() -> None:
        descriptor = os.open(copy_program("/tmp"), os.O_RDONLY)
        os.execve(descriptor, ["program", "hello"], {})

    return word_of(executed)


@attempt
def setuid_programs() -> str:
    """Programs of the image that would change who one is."""
    found = []
    for folder, folders, files in os.walk("/"):
        if folder in ("/proc", "/sys"):
            folders.clear()
            continue
        for name in files:
            mode = os.lstat(os.path.join(folder, name)).st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                found.append(name)
    return " ".join(sorted(found)) or "none"


@attempt
def own_setuid_program() -> str:
    """A set-user-ID file of one's own, as another user's if that could be."""
    program = copy_program("/tmp")
    return words_of(
        lambda: os.chown(program, 0, 0),
        lambda: os.setxattr(
            program, "security.capability", struct.pack("<IIIII", 0x2000001, ~0 & 2**32 - 1, 0, 0, 0)
        ),
        lambda: os.setxattr(program, "trusted.overlay.opaque", b"y"),
    )


def fill(place: str) -> str:
    """Fill a folder to its bound and say what stopped it and about how many MiB that took."""
    path, written = f"{place}/filling", 0
    block = b"x" * (1 << 20)
    try:
        with open(path, "wb", buffering=0) as file:
            while written < 1 << 30:
                written += file.write(block)
    except OSError as error:
        word = os.strerror(error.errno or 0)
    else:
        word = "no bound"
    os.unlink(path)
    return f"{word} at {written >> 20} MiB"


@attempt
def fill_temporary() -> str:
    return fill("/tmp")


@attempt
def fill_outputs() -> str:
    return fill("/eval/out")


@attempt
def fill_shared_memory() -> str:
    return fill("/dev/shm")


def flood(place: str, most: int) -> str:
    folder = Path(place, "flood")
    folder.mkdir()
    count = 0
    try:
        for count in range(most):
            os.close(os.open(folder / str(count), os.O_CREAT | os.O_WRONLY))
    except OSError as error:
        return os.strerror(error.errno or 0)
    else:
        return f"{most} files"
    finally:
        shutil.rmtree(folder)


@attempt
def inodes_of_temporary() -> str:
    return flood("/tmp", 30_000)


@attempt
def inodes_of_outputs() -> str:
    return flood("/eval/out", 30_000)


@attempt
def larger_than_every_folder() -> str:
    """A sparse file as large as the file system allows."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    paths = ("/tmp/sparse", "/eval/out/sparse", "/dev/shm/sparse")
    answer = words_of(*(lambda p=path: _grow(p) for path in paths))
    for path in paths:
        Path(path).unlink(missing_ok=True)
    return answer


def _grow(path: str) -> None:
    with open(path, "wb") as file:
        os.truncate(file.fileno(), 1 << 42)


@attempt
def socket_in_outputs() -> str:
    """A socket can be bound there; the collector refuses it (see the launch `special-files`)."""
    path = "/eval/out/socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.bind(path)
    os.unlink(path)
    return "bound"
