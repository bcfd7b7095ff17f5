"""Which network addresses `fetch` may connect to: the rule against requests forged through a model's URI.

Asked by `artifact.egress` about every address a name resolves to, before anything connects. Loopback, link-local and
the clouds' metadata services are what a forged request is after; private networks are where a cluster's own storage
is, and stay allowed. Pure: an address goes in, an answer comes out.
"""

import ipaddress
from collections.abc import Iterator

from modelyard_runtime import errors

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# (network, what it is). First match names the address in the message.
_FORBIDDEN: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(network), kind)
    for network, kind in (
        ("100.100.100.200/32", "a cloud's metadata service"),
        ("168.63.129.16/32", "a cloud's metadata service"),
        ("192.0.0.0/24", "a cloud's metadata service, or reserved"),
        ("169.254.169.254/32", "a cloud's metadata service"),
        ("fd00:ec2::/32", "a cloud's metadata service"),
        ("fd20:ce::254/128", "a cloud's metadata service"),
        ("fd00:c1::a9fe:a9fe/128", "a cloud's metadata service"),
        ("fd00:42::42/128", "a cloud's metadata service"),
        ("fd00:a9fe:a9fe::/48", "a cloud's metadata service"),
        ("0.0.0.0/8", "this host itself"),
        ("::/128", "this host itself"),
        ("127.0.0.0/8", "loopback"),
        ("::1/128", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local, which nobody uses any more"),
        ("224.0.0.0/4", "multicast"),
        ("ff00::/8", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("100::/64", "reserved"),
    )
)
# Prefixes whose last 32 bits are an IPv4 address that the packet may end at.
_LAST_BITS = tuple(
    ipaddress.IPv6Network(network)
    for network in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
_ISATAP = (0x00005EFE, 0x02005EFE)  # the third quarter of an ISATAP address; the fourth is IPv4


def parse_allowed(text: str) -> tuple[Network, ...]:
    """Gives the networks of a comma-separated list; raises `StartFailure` (SettingsInvalid) naming the bad entry."""
    networks = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        try:
            networks.append(ipaddress.ip_network(entry))
        except ValueError:
            raise errors.StartFailure(
                errors.Reason.SETTINGS_INVALID,
                f"MODELYARD_ALLOWED_ADDRESSES: {entry!r} is not a network; write it as 127.0.0.0/8 or ::1/128",
            ) from None
    return tuple(networks)


def refusal(address: str, allowed: tuple[Network, ...] = ()) -> str | None:
    """Gives what makes an address forbidden ("loopback"), None when `fetch` may connect to it."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "no IP address"
    for each in _meanings(parsed):
        if not _is_within(each, allowed) and (kind := _kind(each)) is not None:
            return kind
    return None


def _meanings(address: Address) -> Iterator[Address]:
    """Gives the address and every address that it carries inside, as translators and tunnels read it."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped  # the very same address, in other words
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    is_translated = any(address in network for network in _LAST_BITS)
    is_isatap = (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
    if (is_translated and int(address) > 1) or is_isatap:  # :: and ::1 are addresses of their own
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def _kind(address: Address) -> str | None:
    return next((kind for network, kind in _FORBIDDEN if _is_within(address, (network,))), None)


def _is_within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
