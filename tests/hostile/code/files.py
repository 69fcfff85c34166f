"""Write where nothing may be written, run what may not be run, see what may not be seen."""

import ctypes
import mmap
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from attempt import attempt, call, word_of, words_of

# Its place is drawn for each launch; who looks finds it.
INIT = Path("/proc/1/cmdline").read_bytes().split(b"\0")[0].decode()
INPUT, CODE, CONFIG_FILE = "/eval/inputs/canary", "/eval/code/attempt.py", "/eval/config.json"
_LIBC = ctypes.CDLL(None, use_errno=True)


def write(path: str) -> None:
    with open(path, "ab") as file:
        file.write(b"written by the evaluation")


def write_all(*paths: str) -> str:
    return words_of(*(lambda p=path: write(p) for path in paths))


@attempt
def write_root() -> str:
    return write_all("/new", "/usr/new", "/bin/new", "/var/new", "/eval/new", "/home/new", "/root/new")


@attempt
def write_etc() -> str:
    return write_all("/etc/passwd", "/etc/shadow", "/etc/ld.so.preload", "/etc/new")


@attempt
def write_engine_files() -> str:
    return write_all("/etc/hosts", "/etc/resolv.conf", "/etc/hostname")


@attempt
def write_input() -> str:
    return write_all(INPUT, "/eval/inputs/new")


@attempt
def write_code() -> str:
    return write_all(CODE, "/eval/code/new")


@attempt
def write_config() -> str:
    return write_all(CONFIG_FILE)


@attempt
def change_input_facts() -> str:
    """Mode, owner, times, attributes, length."""
    return words_of(
        lambda: os.chmod(INPUT, 0o777),
        lambda: os.chown(INPUT, 65532, 65532),
        lambda: os.utime(INPUT, (0, 0)),
        lambda: os.setxattr(INPUT, "user.mark", b"x"),
        lambda: os.truncate(INPUT, 0),
    )


@attempt
def move_input() -> str:
    return words_of(
        lambda: os.unlink(INPUT),
        lambda: os.rename(INPUT, "/eval/inputs/other"),
        lambda: os.rename("/eval/inputs", "/eval/out/inputs"),
        lambda: os.rename("/eval/out", "/eval/old"),
        lambda: os.rmdir("/eval/out"),
    )


@attempt
def link_input() -> str:
    return words_of(
        lambda: os.link(INPUT, "/eval/out/link"),
        lambda: os.link(INPUT, "/tmp/link"),
        lambda: call(265, -100, INPUT.encode(), -100, b"/tmp/link", 0x400),
    )


@attempt
def reopen_input_for_writing() -> str:
    descriptor = os.open(INPUT, os.O_RDONLY)
    path = os.open(INPUT, os.O_PATH)
    return words_of(
        lambda: os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR),
        lambda: os.open(f"/proc/self/fd/{path}", os.O_RDWR),
        lambda: mmap.mmap(descriptor, 0, mmap.MAP_SHARED, mmap.PROT_WRITE),
    )


@attempt
def overwrite_page_cache() -> str:
    """Splice an input's page into a pipe and write behind it, as CVE-2022-0847 did."""
    before = Path(INPUT).read_bytes()
    reader, writer = os.pipe()
    for _ in range(16):
        os.write(writer, b"x" * 4096)
    for _ in range(16):
        os.read(reader, 4096)
    source = os.open(INPUT, os.O_RDONLY)
    os.splice(source, writer, 1, offset_src=0)
    os.write(writer, b"overwritten")
    return "unchanged" if Path(INPUT).read_bytes() == before else "changed"


@attempt
def write_a_private_mapping() -> str:
    """Write through /proc/self/mem into a read-only mapping: it must stay a private copy."""
    before = Path(INPUT).read_bytes()
    with open(INPUT, "rb") as file:
        view = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
    address = _address_of(INPUT)
    word_of(lambda: _poke(address))
    view.close()
    return "unchanged" if Path(INPUT).read_bytes() == before else "changed"


def _address_of(path: str) -> int:
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(path):
            return int(line.split("-")[0], 16)
    raise OSError(2, "not mapped")


def _poke(address: int) -> None:
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(address)
        memory.write(b"poked")


@attempt
def lease_on_input() -> str:
    import fcntl

    descriptor = os.open(INPUT, os.O_RDONLY)
    return words_of(lambda: fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK))


@attempt
def overwrite_init() -> str:
    """Overwrite the first process's program: by name, and held open while it runs (CVE-2019-5736)."""
    held = os.open(INIT, os.O_PATH)
    return words_of(
        lambda: write(INIT),
        lambda: os.open(f"/proc/self/fd/{held}", os.O_WRONLY),
        lambda: os.chmod(INIT, 0o777),
        lambda: os.rename(INIT, "/tmp/init"),
    )


@attempt
def overwrite_running_init() -> str:
    """Start the init again, and open what runs through /proc."""
    child = subprocess.Popen([INIT, "/bin/true"], stdin=subprocess.PIPE)
    answer = words_of(
        lambda: os.open(f"/proc/{child.pid}/exe", os.O_WRONLY),
        lambda: os.open("/proc/1/exe", os.O_WRONLY),
        lambda: os.open("/proc/1/exe", os.O_RDONLY),
    )
    child.kill()
    return answer


@attempt
def run_init_again() -> str:
    done = subprocess.run([INIT, "/bin/true"], input=b"", capture_output=True, check=False)
    return f"exit {done.returncode}"


@attempt
def write_proc_sys() -> str:
    names = ("kernel/core_pattern", "kernel/hostname", "kernel/modprobe", "kernel/randomize_va_space")
    names += ("vm/overcommit_memory", "vm/drop_caches", "fs/binfmt_misc/register", "net/ipv4/ip_forward")
    return write_all(*(f"/proc/sys/{name}" for name in names if Path(f"/proc/sys/{name}").exists()))


@attempt
def write_proc() -> str:
    names = ("sysrq-trigger", "irq/default_smp_affinity", "mtrr", "timer_list", "latency_stats")
    return write_all(*(f"/proc/{name}" for name in names if Path(f"/proc/{name}").is_file()))


@attempt
def write_own_proc() -> str:
    """What would raise one's own standing."""
    return words_of(
        lambda: Path("/proc/self/uid_map").write_text("0 0 1"),
        lambda: Path("/proc/self/oom_score_adj").write_text("-1000"),
    )


@attempt
def claim_a_login() -> str:
    """A login id for the host's audit log; whoever has none may set one, whatever it says."""
    return words_of(lambda: Path("/proc/self/loginuid").write_text("0") and None)


@attempt
def pressure_triggers() -> str:
    names = ("cpu", "memory", "io")
    return words_of(*(lambda n=name: os.open(f"/proc/pressure/{n}", os.O_RDWR) for name in names))


@attempt
def masked_files() -> str:
    """How many bytes of masked files and folders of the kernel can be read."""
    places = ("/proc/kcore", "/proc/keys", "/proc/cmdline", "/proc/timer_list", "/proc/interrupts")
    places += ("/proc/acpi", "/proc/scsi", "/sys/firmware", "/sys/class", "/sys/fs/cgroup", "/proc/pressure")
    return f"{sum(map(_visible, places))} visible"


def _visible(place: str) -> int:
    path = Path(place)
    try:
        return len(os.listdir(path)) if path.is_dir() else len(path.open("rb").read(64))
    except OSError:
        return 0


@attempt
def write_sys() -> str:
    paths = ["/sys/kernel/uevent_helper", "/sys/power/state", "/sys/kernel/mm/ksm/run", "/sys/new"]
    paths += [str(path) for path in Path("/sys").rglob("release_agent")]
    paths += ["/sys/kernel/mm/transparent_hugepage/enabled", "/sys/module/kernel/parameters/panic"]
    return words_of(*(lambda p=path: _overwrite(p) for path in paths))


def _overwrite(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT))


@attempt
def anything_writable() -> str:
    """Walk the whole tree for a folder or a file that opens for writing outside the scratch folders."""
    spared = ("/proc", "/sys", "/dev", "/tmp", "/eval/out")
    found = []
    for folder, folders, files in os.walk("/"):
        if folder.startswith(spared):
            folders.clear()
            continue
        places = [folder, *(os.path.join(folder, name) for name in files)]
        found += [place for place in places if os.access(place, os.W_OK)]
    return " ".join(found) or "nothing"


@attempt
def writable_under_proc_and_sys() -> str:
    """Every file of /proc outside processes' own folders, and of /sys, that opens for writing."""
    found = [path for path in _kernel_files() if _opens(path)]
    return " ".join(found) or "nothing"


def _kernel_files() -> Iterator[str]:
    for root in ("/proc", "/sys"):
        for folder, folders, files in os.walk(root):
            if folder == "/proc":
                folders[:] = [name for name in folders if not name.isdigit() and name not in _OWN]
            yield from (os.path.join(folder, name) for name in files)


_OWN = ("self", "thread-self")


def _opens(path: str) -> bool:
    """A masked file is /dev/null, which takes anything."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    special = stat.S_ISCHR(os.fstat(descriptor).st_mode)
    os.close(descriptor)
    return not special


@attempt
def host_paths_in_mounts() -> str:
    """Open, or climb to, every path that the list of mounts tells of the host."""
    told = {line.split()[3] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    paths = [path for path in told if path.count("/") > 1 and not path.startswith("/proc")]
    return words_of(*(lambda p=path: os.listdir(os.path.dirname(p)) for path in paths)) or "none told"


@attempt
def climb_out() -> str:
    """Climb with `..` from every folder that is a mount: the top must be this container's own."""
    own = os.stat("/").st_ino
    for place in ("/eval/out", "/eval/code", "/eval/inputs", "/proc/self/cwd", "/proc/self/root"):
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        for _ in range(40):
            descriptor = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=descriptor)
        if os.fstat(descriptor).st_ino != own:
            return "out"
    return "own root"


@attempt
def first_process_folders() -> str:
    """The root, working directory, descriptors and namespaces of pid 1."""
    return words_of(
        lambda: os.listdir("/proc/1/root/"),
        lambda: os.listdir("/proc/1/cwd/"),
        lambda: os.listdir("/proc/1/fd"),
        lambda: os.listdir("/proc/1/map_files"),
        lambda: os.readlink("/proc/1/ns/mnt"),
        lambda: os.readlink("/proc/1/exe"),
    )


@attempt
def inherited_descriptors() -> str:
    """Descriptors beyond the three, which would be the first process's or the runtime's."""
    kept = [number for number in map(int, os.listdir("/proc/self/fd")) if number > 2]
    targets = [word_of(lambda n=number: os.readlink(f"/proc/self/fd/{n}")) for number in kept]
    strange = [target for target in targets if not target.startswith(("pipe:", "/proc/", "ENOENT"))]
    strange = [target for target in strange if not target.endswith("samples.jsonl")]
    return " ".join(strange) or "none"
