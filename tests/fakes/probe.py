"""What the probe reports of a sandbox that is exactly as its profile has it."""

from launcher.spec.probe import ProbeReport, Space
from launcher.spec.sandbox import HOSTNAME, MASKED_PATHS, USER_ID, SandboxProfile
from launcher.spec.seccomp import allowed_calls

_REFUSED = """
    socket:raw socket:packet socket:netlink socket:netlink-audit socket:vsock socket:alg
    write:/ write:/etc write:/usr write:/eval write:/eval/code write:/eval/inputs write:/sys
    write:/eval/predictions write:/eval/config.json write:/etc/passwd write:/proc/sys/kernel/core_pattern
    write:/proc/sysrq-trigger write:/proc/pressure/memory execute:/tmp execute:/eval/out mount umount mknod
    setuid setgid unshare:user unshare:mount unshare:network chroot hostname
"""
_UNREACHED = "connect:public connect:metadata connect:dns connect:public-6"
_SEEN = ("/proc/1/environ", "/run/docker.sock", "/var/run/docker.sock")
_IDS = (USER_ID, USER_ID, USER_ID)
_SETS = ("inheritable", "permitted", "effective", "bounding", "ambient")


def clean_report(profile: SandboxProfile) -> ProbeReport:
    """Return a report without differences."""
    scratch = {place.path: Space(place.bytes, place.inodes, place.bytes, 1) for place in profile.scratch}
    return ProbeReport(
        user=_IDS,
        group=_IDS,
        groups=(USER_ID,),
        capabilities=dict.fromkeys(_SETS, "0" * 16),
        no_new_privileges=True,
        seccomp=2,
        answered=tuple(sorted(allowed_calls(profile.variant, profile.widenings))),
        entries={"32-bit": "killed", "x32": "killed"},
        attempts=dict.fromkeys(_REFUSED.split(), "EPERM") | dict.fromkeys(_UNREACHED.split(), "ENETUNREACH"),
        visible=dict.fromkeys((*MASKED_PATHS, *_SEEN), 0),
        mounts={"/": "overlay ro,relatime", "/tmp": "tmpfs rw,nosuid", "/proc": "proc rw,nosuid"},
        interfaces=("lo",),
        limits={name: (limit, limit) for name, limit in profile.ulimits},
        scratch=scratch | {"/dev/shm": Space(profile.shm, 0, profile.shm, 0)},
        kernel="0",
        kernel_version="-",
        machine="x86_64",
        hostname=HOSTNAME,
        domainname="(none)",
        processors=profile.cpus,
        processes=2,
    )
