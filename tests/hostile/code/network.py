"""Reach anything that is not this container, or be reached."""

import ctypes
import os
import socket
import struct

from attempt import attempt, word_of, words_of
from given import CONFIG

PUBLIC, PUBLIC_6 = "192.0.2.1", "2001:db8::1"
METADATA = "169.254.169.254"


def connect(
    family: int, address: tuple[str | int, ...] | str | bytes, kind: int = socket.SOCK_STREAM
) -> None:
    with socket.socket(family, kind) as link:
        link.settimeout(3)
        link.connect(address)


def send(family: int, address: tuple[str | int, ...]) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        link.sendto(b"out", address)


@attempt
def connect_public() -> None:
    connect(socket.AF_INET, (PUBLIC, 80))


@attempt
def connect_public_v6() -> None:
    connect(socket.AF_INET6, (PUBLIC_6, 80))


@attempt
def connect_metadata() -> None:
    connect(socket.AF_INET, (METADATA, 80))


@attempt
def connect_bridge() -> None:
    connect(socket.AF_INET, (CONFIG["bridge"], CONFIG["port"]))


@attempt
def connect_host_loopback() -> None:
    connect(socket.AF_INET, ("127.0.0.1", CONFIG["port"]))


@attempt
def connect_host_loopback_v6() -> None:
    connect(socket.AF_INET6, ("::1", CONFIG["port"]))


@attempt
def fast_open_metadata() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as link:
        link.sendto(b"GET / HTTP/1.0\r\n\r\n", 0x20000000, (METADATA, 80))


@attempt
def datagram_to_bridge() -> None:
    send(socket.AF_INET, (CONFIG["bridge"], CONFIG["port"]))


@attempt
def datagram_dns() -> None:
    send(socket.AF_INET, (PUBLIC, 53))


@attempt
def datagram_broadcast() -> None:
    send(socket.AF_INET, ("255.255.255.255", 9))


@attempt
def datagram_multicast() -> None:
    send(socket.AF_INET, ("224.0.0.251", 5353))


@attempt
def datagram_multicast_v6() -> None:
    send(socket.AF_INET6, ("ff02::1", 9))


@attempt
def resolve_a_name() -> str:
    try:
        socket.getaddrinfo("example.org", 80)
    except socket.gaierror:
        return "no answer"
    return "resolved"


@attempt
def host_abstract_socket() -> None:
    connect(socket.AF_UNIX, b"\0" + CONFIG["abstract"].encode())


@attempt
def engine_sockets() -> str:
    places = ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock")
    places += ("/run/podman/podman.sock", "/run/dbus/system_bus_socket", "/run/systemd/private")
    return words_of(*(lambda place=place: connect(socket.AF_UNIX, place) for place in places))


@attempt
def other_families() -> str:
    spared = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
    families = [family for family in range(1, 46) if family not in spared]
    kinds = (1, 2, 3, 4, 5, 10)
    return words_of(
        *(lambda f=family, k=kind: socket.socket(f, k).close() for family in families for kind in kinds)
    )


@attempt
def raw_sockets() -> str:
    tries = [(family, 3, number) for family in (2, 10) for number in (0, 1, 6, 17, 58, 255)]
    return words_of(*(lambda t=each: socket.socket(*t).close() for each in tries))


@attempt
def sequential_sockets() -> str:
    return words_of(*(lambda f=family: socket.socket(f, 5).close() for family in (1, 2, 10)))


@attempt
def stream_protocols() -> str:
    """SCTP, MPTCP, UDP-Lite, SMC and ping hide behind an ordinary family and kind."""
    tries = ((2, 1, 132), (2, 1, 262), (2, 2, 136), (2, 1, 256), (10, 1, 262), (2, 2, 1), (10, 2, 58))
    return words_of(*(lambda t=each: socket.socket(*t).close() for each in tries))


@attempt
def forged_credentials() -> None:
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    word = struct.pack("iii", 1, 0, 0)
    one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, word)])


@attempt
def privileged_options() -> str:
    def option(level: int, name: int, value: bytes) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as link:
            link.setsockopt(level, name, value)

    one = struct.pack("i", 1)
    tries = ((1, 36, one), (1, 33, one), (1, 32, one), (0, 19, one), (0, 64, b"\0" * 96))
    return words_of(*(lambda t=each: option(*t) for each in tries))


@attempt
def interfaces() -> str:
    with open("/proc/net/dev", encoding="ascii") as lines:
        return " ".join(sorted(line.split(":")[0].strip() for line in lines if ":" in line))


@attempt
def routes() -> str:
    with open("/proc/net/route", encoding="ascii") as lines:
        return f"{len(lines.readlines()[1:])} routes"


@attempt
def neighbours() -> str:
    with open("/proc/net/arp", encoding="ascii") as lines:
        return f"{len(lines.readlines()[1:])} neighbours"


@attempt
def configure_an_interface() -> str:
    import fcntl

    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    requests = (0x8914, 0x8916, 0x8927, 0x890B, 0x8912, 0x8933)
    return words_of(*(lambda r=each: fcntl.ioctl(link, r, b"lo".ljust(64, b"\0")) for each in requests))


@attempt
def listen_everywhere() -> str:
    """Listening is allowed, and heard by nobody: the namespace holds a loopback only."""
    with (
        socket.create_server(("0.0.0.0", 8000)) as server,
        socket.create_server(("::", 8001), family=socket.AF_INET6),
    ):
        connect(socket.AF_INET, ("127.0.0.1", server.getsockname()[1]))
        return "own loopback only"


@attempt
def namespace_of_the_host() -> str:
    return "the host's" if os.readlink("/proc/self/ns/net") in CONFIG["namespaces"] else "another"


@attempt
def resolver_files() -> str:
    """What /etc/resolv.conf and /etc/hosts tell of the host's network."""
    told = []
    for name in ("/etc/resolv.conf", "/etc/hosts", "/etc/hostname"):
        if word_of(lambda name=name: open(name, encoding="utf-8").close()) == "done":
            with open(name, encoding="utf-8") as file:
                told.append(file.read())
    words = {word for line in "".join(told).splitlines() for word in line.split("#")[0].split()}
    strange = words - {"127.0.0.1", "::1", "localhost", "sandbox", "ip6-localhost", "ip6-loopback"}
    return " ".join(sorted(strange)) or "loopback only"


@attempt
def netfilter_by_socket_option() -> None:
    size = ctypes.c_int(84)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as link:
        link.getsockopt(0, 64, size.value)
