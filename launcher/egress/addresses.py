"""Which addresses are anybody's, so that a name cannot lead back inside."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")
# A cloud's inside that has a public address.
_INSIDE = frozenset({"168.63.129.16"})


def is_public(text: str) -> bool:
    """Say whether an address is anybody's: not this machine, its networks, or a cloud's metadata."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and (inner := _embedded(address)) is not None:
        return is_public(str(inner))
    return address.is_global and not address.is_multicast and text not in _INSIDE


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to, if it does."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
