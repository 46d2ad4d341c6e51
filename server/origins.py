"""Whether a page that sends something is this server's own."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit


def is_same(origin: str, host: str, names: frozenset[str]) -> bool:
    """Whether the page is this server's own; behind a proxy, that of one of our further names."""
    try:
        netloc = urlsplit(origin).netloc.lower()
    except ValueError:  # it is no address, so no page has it
        return False
    return netloc == host.lower() or name_of(netloc) in names


def is_of_another_page(headers: Mapping[str, str], names: frozenset[str]) -> bool:
    """Whether a form was sent by a page that is not this server's. Our own send "null" as their Origin, since our pages
    tell nobody where they are; then Sec-Fetch-Site tells, or, over plain http to another machine, only the cookie."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("none", "same-origin")
    origin = headers.get("origin", "null")
    return origin != "null" and not is_same(origin, headers.get("host", ""), names)


def name_of(netloc: str) -> str:
    """The host's name in a Host header or a URL, without port and brackets, in lower case."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "").rstrip(".")
    except ValueError:
        return ""
