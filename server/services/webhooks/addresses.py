"""Which addresses webhooks may reach: public ones, and those of networks that the server's settings allow.

A name is resolved once, all of its addresses are checked, and the connection goes to an address that was checked: what
the name leads to a moment later does not matter.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from sturgeon.errors import SturgeonError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], list[str]]

_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"(?=.{{1,253}}\.?$){_LABEL}(?:\.{_LABEL})*\.?")
_GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")
_TUNNELS: Final = (ipaddress.ip_network("2001::/32"), ipaddress.ip_network("2002::/16"))  # Teredo and 6to4


class Refused(SturgeonError):
    """Webhooks may not reach this address."""


@dataclass(frozen=True)
class Target:
    """Where a webhook leads."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """As the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"


def target_of(url: str) -> Target:
    """The parts of a URL. Raises: Refused (it is not one that a webhook can have)."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        raise Refused("write http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH") from None
    if not parts.hostname or "@" in parts.netloc or parts.fragment or not _VISIBLE.fullmatch(url):
        raise Refused("write a host, no user's name and no #fragment, in ASCII")
    if ":" not in parts.hostname and not _NAME.fullmatch(parts.hostname):
        raise Refused(f"{parts.hostname[:100]} is no host's name")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, parts.hostname, port, path)


def networks_of(text: str) -> tuple[Network, ...]:
    """`10.0.0.0/8, 127.0.0.1` as networks. Raises: SturgeonError."""
    try:
        return tuple(ipaddress.ip_network(one.strip(), strict=False) for one in text.split(",") if one.strip())
    except ValueError as error:
        raise SturgeonError(f"STURGEON_WEBHOOK_NETWORKS: {error}; write networks such as 10.0.0.0/8.") from None


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a name, in the order in which they are to be tried. Raises: OSError (it has none)."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[4][0]) for place in found))


def checked(target: Target, networks: Sequence[Network], resolve: Resolve = resolve) -> list[str]:
    """The addresses of the target, if webhooks may reach every one of them.

    Raises: Refused, OSError (the name has no address).
    """
    addresses = resolve(target.host, target.port)
    for text in addresses:
        if not may_be_reached(text, networks):
            raise Refused(
                f"{target.host} leads to {text}, which is not a public address; STURGEON_WEBHOOK_NETWORKS of the "
                "server can allow its network"
            )
    return addresses


def require_literal_allowed(target: Target, networks: Sequence[Network]) -> None:
    """Refuse a host that is written as an address, in whatever form, before anything is sent; a name is looked up with
    each delivery. Raises: Refused."""
    name = target.host.removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        found = ["127.0.0.1"]
    else:
        try:
            numeric = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            return
        found = [str(place[4][0]) for place in numeric]
    checked(target, networks, lambda _host, _port: found)


def may_be_reached(text: str, networks: Sequence[Network]) -> bool:
    """Whether the address is public, or in one of these networks."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])  # %eth0: the interface of a link-local address
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address.version == network.version and address in network for network in networks):
        return True
    if isinstance(address, ipaddress.IPv6Address) and (
        address not in _GLOBAL_UNICAST or any(address in tunnel for tunnel in _TUNNELS)
    ):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)
