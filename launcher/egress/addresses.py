"""Which addresses are anybody's, so that a name cannot lead back inside."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")
# A cloud's inside that has a public address.
_INSIDE = frozenset({"168.63.129.16"})
# Inside some network, whatever the library of this Python says: site-local, local NAT64, IPv4 in disguise.
_LOCAL = tuple(map(IPv6Network, ("fec0::/10", "64:ff9b:1::/48", "::/96")))
_NEVER = tuple(
    map(IPv4Network, ("0.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32", "224.0.0.0/3"))
)


def is_public(text: str) -> bool:
    """Say whether an address is anybody's: not this machine, its networks, or a cloud's metadata."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and (inner := _embedded(address)) is not None:
        return is_public(str(inner))
    if isinstance(address, IPv6Address) and any(address in network for network in _LOCAL):
        return False
    return address.is_global and not address.is_multicast and text not in _INSIDE


def may_be_listed(text: str) -> bool:
    """Say whether an IPv4 address may be asked for by a blueprint that lists it, if it is no public one.

    A machine's own name for itself, and what clouds tell their machines there, credentials too, never are.
    """
    return not any(IPv4Address(text) in network for network in _NEVER)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to, if it does."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
