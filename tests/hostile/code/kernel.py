"""Reach parts of the kernel that an evaluation has no use for."""

import ctypes
import json
import os
import struct
import subprocess
from pathlib import Path

from attempt import attempt, call, word_of, words_of
from given import CONFIG

LOW = "/eval/code/low"
NOTHING = ctypes.create_string_buffer(4096)


def low(what: str, *more: str) -> str:
    """Run the static attacker, which says in one line what it got."""
    done = subprocess.run([LOW, what, *more], capture_output=True, text=True, check=False)
    if done.returncode < 0:
        import signal

        return signal.Signals(-done.returncode).name
    return done.stdout.strip() or f"exit {done.returncode}"


def each(*numbers: int) -> str:
    return words_of(*(lambda n=number: call(n, NOTHING, 0, 0, 0, 0, 0) for number in numbers))


@attempt
def asynchronous_rings() -> str:
    return each(425, 426, 427)


@attempt
def asynchronous_io() -> str:
    return each(206, 207, 208, 209, 210, 333)


@attempt
def bpf_programs() -> str:
    return words_of(*(lambda c=command: call(321, c, NOTHING, 128) for command in range(6)))


@attempt
def page_faults_by_user() -> str:
    return words_of(
        lambda: call(323, 0), lambda: call(323, 1), lambda: os.close(os.open("/dev/userfaultfd", 2))
    )


@attempt
def performance_events() -> str:
    return words_of(lambda: call(298, struct.pack("IIQ", 1, 112, 0).ljust(112, b"\0"), 0, -1, -1, 0))


@attempt
def keys() -> str:
    return words_of(
        lambda: call(250, 0, -3, 1),
        lambda: call(250, 1, 0),
        lambda: call(248, b"user", b"name", b"x", 1, -3),
        lambda: call(249, b"user", b"name", 0, -3),
    )


@attempt
def kernel_images() -> str:
    return each(246, 320)


@attempt
def kernel_modules() -> str:
    return each(174, 175, 176, 177, 178, 313)


@attempt
def mounts() -> str:
    """The old calls and the new: mount, umount2, pivot_root, chroot, fsopen and their kin."""
    old = words_of(
        lambda: call(165, b"none", b"/tmp", b"tmpfs", 0, 0),
        lambda: call(165, b"/", b"/tmp", 0, 0x1000, 0),
        lambda: call(165, b"none", b"/", 0, 0x20 | 0x1000, 0),
        lambda: call(166, b"/eval/out", 2),
        lambda: call(155, b"/tmp", b"/tmp"),
        lambda: os.chroot("/tmp"),
    )
    fresh = words_of(
        lambda: call(430, b"tmpfs", 0),
        lambda: call(428, -100, b"/", 1),
        lambda: call(429, -1, b"", -100, b"/tmp", 4),
        lambda: call(431, 3, 0, 0, 0, 0),
        lambda: call(432, 3, 0, 0),
        lambda: call(433, -100, b"/", 0),
        lambda: call(442, -100, b"/", 0, NOTHING, 32),
        lambda: call(457, NOTHING, NOTHING, 4096, 0),
    )
    return " ".join(sorted({*old.split(), *fresh.split()}))


@attempt
def files_by_handle() -> str:
    handle = struct.pack("IiQ", 8, 1, 2).ljust(128, b"\0")
    return words_of(
        lambda: call(304, os.open("/eval/inputs/canary", os.O_RDONLY), handle, 0),
        lambda: call(303, -100, b"/eval/inputs/canary", NOTHING, NOTHING, 0),
    )


@attempt
def namespaces() -> str:
    """unshare and clone with each flag for a namespace of one's own, and setns."""
    flags = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80)
    own = words_of(*(lambda f=flag: call(272, f) for flag in flags))
    children = words_of(*(lambda f=flag: _child(f) for flag in flags[:-1]))
    entered = words_of(lambda: call(308, os.open("/proc/self/ns/net", os.O_RDONLY), 0))
    return " ".join(sorted({*own.split(), *children.split(), *entered.split()}))


def _child(flag: int) -> None:
    if call(56, flag | 17, 0, 0, 0, 0) == 0:
        os._exit(0)


@attempt
def clone_with_structure() -> str:
    return words_of(lambda: call(435, struct.pack("11Q", 0x10000000, *[0] * 10), 88))


@attempt
def personality() -> str:
    return words_of(*(lambda p=persona: call(135, p) for persona in (0x8, 0x40000, 0x400000, 0xFFFFFFFF)))


@attempt
def calls_of_32_bits() -> str:
    return low("int80")


@attempt
def calls_of_x32() -> str:
    return low("x32")


@attempt
def segment_of_32_bits() -> str:
    """A far jump into 32-bit code, and a system call from there."""
    return low("far")


@attempt
def every_other_call() -> str:
    """Every system call that the sandbox's list does not name, with senseless arguments."""
    named = json.loads(Path("/eval/code/allowed.json").read_text())
    return low("sweep", *map(str, named))


@attempt
def terminal_input() -> str:
    """TIOCSTI and TIOCLINUX push keys into whoever's terminal this is."""
    return words_of(
        *(lambda n=number: call(16, n, 0x5412, b"x") for number in range(3)),
        *(lambda n=number: call(16, n, 0x541C, b"\x02") for number in range(3)),
    )


@attempt
def controls_of_files() -> str:
    """File attributes, clones, mappings and encryption by ioctl."""
    descriptor = os.open("/tmp", os.O_RDONLY)
    codes = (0x40086602, 0x401C5820, 0x40049409, 0x1, 0xC020660B, 0x5603, 0x4004667F, 0x40082406)
    return words_of(*(lambda c=code: call(16, descriptor, c, NOTHING) for code in codes))


@attempt
def files_in_memory() -> str:
    return words_of(lambda: call(319, b"x", 0), lambda: call(319, b"x", 1), lambda: call(447, 0))


@attempt
def gifted_pages() -> str:
    """vmsplice puts pages of a process into a pipe without a copy."""
    _, writer = os.pipe()
    piece = struct.pack("QQ", ctypes.addressof(NOTHING), 4096)
    return words_of(lambda: call(278, writer, piece, 1, 8))


@attempt
def filter_that_answers_itself() -> str:
    """A seccomp filter of one's own may only take away: the sandbox's answer to `mount` stays."""
    program = (ctypes.c_uint64 * 1)(0x7FFF000000000006)
    header = struct.pack("HxxxxxxQ", 1, ctypes.addressof(program))
    call(157, 38, 1, 0, 0, 0)
    call(317, 1, 0, header)
    return words_of(lambda: call(165, b"none", b"/tmp", b"tmpfs", 0, 0))


@attempt
def system_v_memory_and_queues() -> str:
    return each(29, 30, 31, 64, 65, 66, 68, 69, 70, 71, 220, 240, 241, 242, 243)


@attempt
def disks_and_quotas() -> str:
    """quotactl, swapon, swapoff, acct, sync of whole devices is spared."""
    return each(167, 168, 163, 179, 443)


@attempt
def reboot() -> str:
    return words_of(
        *(lambda c=command: call(169, 0xFEE1DEAD, 672274793, c, 0) for command in (0, 0x89ABCDEF))
    )


@attempt
def clocks() -> str:
    return words_of(
        lambda: call(164, struct.pack("qq", 0, 0), 0),
        lambda: call(227, 0, struct.pack("qq", 0, 0)),
        lambda: call(159, NOTHING),
        lambda: call(305, 0, NOTHING),
    )


@attempt
def names_of_the_host() -> str:
    return words_of(lambda: call(170, b"other", 5), lambda: call(171, b"other", 5))


@attempt
def kernel_log() -> str:
    return words_of(*(lambda a=action: call(103, a, NOTHING, 4096) for action in (2, 3, 5, 10)))


@attempt
def ports_and_segments() -> str:
    return words_of(lambda: call(172, 3), lambda: call(173, 0x70, 8, 1), lambda: call(154, 1, NOTHING, 16))


@attempt
def memory_of_other_nodes() -> str:
    return each(237, 238, 239, 256, 279)


@attempt
def watch_whole_file_systems() -> str:
    return words_of(lambda: call(300, 0, 0), lambda: call(301, 3, 1, 2, -100, b"/"))


@attempt
def watch_an_input() -> str:
    """A watch on a shared file is allowed: it tells that others read it, never what."""
    watch = call(294, 0)
    call(254, watch, b"/eval/inputs/canary", 0x20)
    return "allowed"


@attempt
def sealed_rules() -> str:
    """Landlock is not offered: nothing of it is needed."""
    return each(444, 445, 446)


@attempt
def memory_locks() -> str:
    return words_of(lambda: call(149, NOTHING, 4096), lambda: call(151, 1))


@attempt
def transparent_page_at_zero() -> str:
    """A mapping at address 0, where kernels once jumped."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    answer = libc.mmap(ctypes.c_void_p(0), 4096, 3, 0x32, -1, 0)
    return word_of(lambda: _refused(answer))


def _refused(answer: int | None) -> None:
    if answer == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")


@attempt
def whose_kernel() -> str:
    """The release that the kernel says it is: under gVisor, gVisor's."""
    return "the host's" if os.uname().release == CONFIG["kernel"] else "another"
