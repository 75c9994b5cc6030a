"""Which names this server answers to, and which web pages may call it. Pure functions over header values.

A browser sends requests for any page that its person looks at, with the person's cookies and from inside the person's
network. Two headers tell them apart, and a page can forge neither:

- `Host` is the name in the URL. A page on `evil.example` can have that name resolve to 127.0.0.1 (DNS rebinding) and is
  then, to the browser, of the same origin as we are. But it needs a *name* for that. So addresses and `localhost` are
  always answered, other names only when they are allowed.
- `Origin` is the page's own. It must be the origin that the request goes to, or an allowed one.

A header that came more than once is ambiguous: the caller refuses such a request before it comes here.

OriginError
├── HostRefusedError       .host: no Host, a malformed one, or a name that isn't allowed
└── OriginRefusedError     .origin .fetch_site: a page that may not call
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qpty.core.errors import QptyError

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

LONGEST_NAME: Final = 253
"""Characters of a DNS name."""

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_AUTHORITY: Final = re.compile(
    rf"(?:\[(?P<six>[0-9a-f:.]{{2,45}})\]|(?P<name>{_LABEL}(?:\.{_LABEL})*))(?::(?P<port>[1-9][0-9]{{0,4}}))?"
)
"""What may stand in Host, in lower case: no user, no path, no trailing dot, no zone, ASCII only."""


class OriginError(QptyError):
    """A request that a browser may have sent for a page that has no business here."""


class HostRefusedError(OriginError):
    """The request names a host that this server doesn't answer to; `host` is the header, None if there was none."""

    def __init__(self, host: str | None) -> None:
        self.host = host
        said = "the request has no Host header" if host is None else f"this server does not answer to {host[:100]!r}"
        super().__init__(f"{said}: call it by its address or as localhost, or put the name in QPTY_ALLOWED_HOSTS")


class OriginRefusedError(OriginError):
    """A web page may not call; `origin` and `fetch_site` are the headers Origin and Sec-Fetch-Site, None if absent."""

    def __init__(self, origin: str | None, fetch_site: str | None) -> None:
        self.origin = origin
        self.fetch_site = fetch_site
        who = "a page of another site" if origin is None else f"the page at {origin[:100]!r}"
        super().__init__(f"{who} may not call this server: put its origin in QPTY_ALLOWED_ORIGINS if it should")


@dataclass(frozen=True, slots=True)
class Authority:
    """A host, in lower case or as a normalised address without brackets, and a port if one was given."""

    host: str
    port: int | None
    is_address: bool = False


def parse_authority(text: str) -> Authority | None:
    """Read `host`, `host:port`, `[v6]` or `[v6]:port`; None for anything else."""
    matched = _AUTHORITY.fullmatch(text.lower()) if text.isascii() else None
    if matched is None:
        return None
    port = int(matched["port"]) if matched["port"] else None
    if port is not None and port > 65535:
        return None
    if matched["six"] is not None:
        address = _address(matched["six"], 6)
        return None if address is None else Authority(address, port, is_address=True)
    address = _address(matched["name"], 4)
    if address is None and len(matched["name"]) > LONGEST_NAME:
        return None
    return Authority(address or matched["name"], port, is_address=address is not None)


def parse_origin(text: str) -> tuple[str, Authority] | None:
    """Read `http://host[:port]` or `https://…` as (scheme, authority), the default port filled in; None otherwise."""
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    authority = parse_authority(rest)
    if not separator or scheme not in DEFAULT_PORTS or authority is None:
        return None
    return scheme, _with_port(authority, scheme)


def check_host(host: str | None, *, allowed: Sequence[str]) -> None:
    """Raise HostRefusedError unless the Host header names an address, localhost, or an allowed name.

    `allowed` holds names, each with `:port` if only that port is meant; `*` allows every well-formed name.
    """
    authority = parse_authority(host) if host is not None else None
    if authority is None:
        raise HostRefusedError(host)
    if authority.is_address or authority.host == "localhost" or authority.host.endswith(".localhost"):
        return
    for entry in allowed:
        if entry == "*":
            return
        permitted = parse_authority(entry)
        if permitted is not None and permitted.host == authority.host and permitted.port in {None, authority.port}:
            return
    raise HostRefusedError(host)


def check_origin(
    origin: str | None,
    fetch_site: str | None,
    *,
    host: str,
    method: str,
    navigation: bool,
    allowed: Sequence[str],
) -> bool:
    """Return whether an allowed *foreign* page calls (it needs CORS headers); raise OriginRefusedError if none may.

    `origin` and `fetch_site` are the headers Origin and Sec-Fetch-Site, `host` the checked Host header, `navigation`
    whether it is a top-level one (Sec-Fetch-Mode `navigate`, Sec-Fetch-Dest `document`), `allowed` further origins.

    Programs send neither header, and pass. A browser leaves Origin out of a plain GET: then Sec-Fetch-Site decides, and
    another site may only lead a person here, by a link. An Origin equal to the Host passes with either scheme, since
    TLS may end before us; where the browser itself says that the two differ, it is believed.
    """
    at_home = fetch_site in {None, "same-origin", "none"}
    if origin is None:
        if at_home or (navigation and method == "GET"):
            return False
        raise OriginRefusedError(origin, fetch_site)
    parsed = parse_origin(origin)
    here = parse_authority(host)
    if parsed is None or here is None:
        raise OriginRefusedError(origin, fetch_site)
    scheme, authority = parsed
    if at_home and authority == _with_port(here, scheme):
        return False
    if parsed in map(parse_origin, allowed):
        return True
    raise OriginRefusedError(origin, fetch_site)


def _with_port(authority: Authority, scheme: str) -> Authority:
    port = authority.port if authority.port is not None else DEFAULT_PORTS[scheme]
    return Authority(authority.host, port, is_address=authority.is_address)


def _address(text: str, version: int) -> str | None:
    """Return an address of that IP version in its normal form; None if it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return str(address) if address.version == version else None
