"""Where a browser believes to be: what `Host` and `Origin` mean. For both processes of the page."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from boardtalk.page.settings import PageSettings


class Place(NamedTuple):
    """Where a browser believes to be."""

    host: str
    """Without port; an IPv6 address in brackets."""
    port: int | None


def own_names(settings: PageSettings) -> frozenset[str]:
    """Names by which browsers may call this machine. Addresses are fine anyway: nobody can rebind them."""
    machine = socket.gethostname().lower()
    return frozenset({"localhost", machine, f"{machine}.local", settings.host, *settings.names})


def place_of(header: str) -> Place | None:
    """What a `Host` header means; None if nothing."""
    try:
        found = urlsplit(f"//{header}")
        host, port = found.hostname, found.port
    except ValueError:
        return None
    if not host or found.netloc != header or set(header) & {"@", "%"}:
        return None
    return Place(f"[{host}]" if ":" in host else host, port)


def is_ours(place: Place, names: frozenset[str]) -> bool:
    """Whether somebody who asks for this place asks for this machine."""
    if place.host in names:
        return True
    try:
        ipaddress.ip_address(place.host.strip("[]"))
    except ValueError:
        return False
    return True


def is_same(origin: str, host: str) -> bool:
    """Whether a page of this origin is our own: the browser got it where it asks now."""
    scheme, _, place = origin.partition("://")
    return scheme in ("http", "https") and bool(place) and place.lower() == host.lower()
