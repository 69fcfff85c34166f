"""Learn what an evaluation is not told: labels, the host's secrets, other evaluations."""

import os
import re
from pathlib import Path

from attempt import attempt, words_of
from given import CONFIG, GIVEN

# In two parts, so that this file does not hold what it looks for.
MARK = ("CANARY-" + "OF-THE-HOST").encode()


@attempt
def environment_of_the_host() -> str:
    return "seen" if MARK in b"".join(os.environb.values()) else "not seen"


@attempt
def environment_names() -> str:
    """Every variable that is set besides those that docs/container.md names and the image's own."""
    known = {
        "HOSTNAME",
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "TZ",
        "SOURCE_DATE_EPOCH",
        "PYTHONHASHSEED",
        "EVALCTL_SEED",
    }
    return " ".join(sorted(n for n in os.environ if n not in known and not n.endswith("_THREADS"))) or "none"


@attempt
def marks_in_reach() -> str:
    """Read every file in reach, those of /proc too, for a mark that stands all over the host."""
    found = []
    for folder, folders, files in os.walk("/"):
        folders[:] = [name for name in folders if not (folder == "/" and name in ("sys", "dev", "usr"))]
        for name in files:
            if _holds_mark(os.path.join(folder, name)):
                found.append(os.path.join(folder, name))
    return " ".join(found[:5]) or "not seen"


def _holds_mark(path: str) -> bool:
    if re.match(r"/proc/(kmsg|kcore|\d+/(mem|pagemap|task/.*))$", path) or "/task/" in path:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return MARK in os.read(descriptor, 1 << 20)
    except OSError:
        return False
    finally:
        os.close(descriptor)


@attempt
def held_out_inputs() -> str:
    return " ".join(sorted(os.listdir("/eval/inputs")))


@attempt
def predictions_of_others() -> str:
    return words_of(lambda: os.listdir("/eval/predictions"), lambda: os.listdir("/eval/state"))


@attempt
def guessed_places_of_labels() -> str:
    """The held-out input under every name that the code, the home or the engine might have for it."""
    names = ("/eval/inputs/labels", "/eval/inputs/../labels", "/eval/code/../inputs/labels")
    names += tuple(CONFIG["places"])
    return words_of(*(lambda n=name: open(n, "rb").close() for name in names))


@attempt
def configuration() -> str:
    """Nothing stands beside the configuration, the seed and the replicate."""
    return " ".join(sorted(GIVEN))


@attempt
def seed_of_others() -> str:
    """The seeds of the other replicates are no secret of the lock, and still are not handed over."""
    return f"{GIVEN['seed']} {os.environ['EVALCTL_SEED']}"


@attempt
def orders_of_the_first_process() -> str:
    """The tokens went over standard input, which the command does not have."""
    target = os.readlink("/proc/self/fd/0")
    return f"{target} {len(os.read(0, 100))} bytes"


@attempt
def arguments_of_the_first_process() -> str:
    """What pid 1 was started with can be read: it says the command and no more."""
    words = Path("/proc/1/cmdline").read_bytes().split(b"\0")
    return Path(words[0].decode()).name if MARK not in b" ".join(words) else "seen"


@attempt
def name_of_the_host() -> str:
    return f"{os.uname().nodename} {Path('/proc/sys/kernel/domainname').read_text().strip()}"


@attempt
def home_and_user() -> str:
    return f"{os.environ['HOME']} {os.getuid()}:{os.getgid()} {sorted(set(os.getgroups()) - {65532})}"


@attempt
def control_groups() -> str:
    """The path of the control group would tell the container's id on the host."""
    paths = {line.split(":", 2)[2].strip() for line in Path("/proc/self/cgroup").read_text().splitlines()}
    return " ".join(sorted(paths))


@attempt
def mounts_that_tell_the_home() -> str:
    """The list of mounts names the sources of binds: places under the home, no user's words."""
    text = Path("/proc/self/mountinfo").read_text()
    told = {line.split()[3] for line in text.splitlines() if " /eval/" in line or "/.evalctl" in line}
    return "the home's place" if any(CONFIG["home"] in path for path in told) else "nothing"


@attempt
def tokens_in_mounts() -> str:
    """Held-out inputs and other replicates stand in no list of mounts."""
    text = Path("/proc/self/mountinfo").read_text()
    return "told" if "labels" in text or CONFIG["labels"] in text else "not told"


@attempt
def leftovers_of_others() -> str:
    """The scratch folders begin empty but for what this evaluation left."""
    return " ".join(sorted(os.listdir("/dev/shm"))) or "nothing"


@attempt
def machine_files() -> str:
    """What tells this machine from others."""
    return words_of(*(lambda n=name: open(n, "rb").close() for name in ("/etc/machine-id", "/etc/hostid")))
