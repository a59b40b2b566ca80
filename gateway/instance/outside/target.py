"""What connections have in common: the URL that they go to, encryption, and words for a failure."""

from __future__ import annotations

import ssl
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from boardtalk.sdk import OutsideError

ENCRYPTED: Final = frozenset({"tls", "wss"})
WEB: Final = frozenset({"ws", "wss"})
SCHEMES: Final = ("tcp", "tls", "ws", "wss")


class Target(NamedTuple):
    """Where a connection goes."""

    scheme: str
    host: str
    port: int | None
    shown: str
    """For people: without login and query, which may be secret."""


def target(url: str) -> Target:
    """The parts of a URL.

    Raises:
        OutsideError: it is none that can be connected to.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise OutsideError(f"not a URL that can be connected to: {error}") from error
    if parts.scheme not in SCHEMES or not host or not (port or parts.scheme in WEB):
        raise OutsideError(f"expected SCHEME://HOST:PORT, with one of {', '.join(SCHEMES)} as SCHEME")
    return Target(
        parts.scheme, host, port, f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}"
    )


def encryption(scheme: str, *, verify: bool) -> ssl.SSLContext | None:
    """How to encrypt, if the scheme asks for that."""
    if scheme not in ENCRYPTED:
        return None
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def failure(where: Target, error: Exception, within: float) -> OutsideError:
    """The error for a connection that does not come about."""
    reason = f"no connection within {within:g} s" if isinstance(error, TimeoutError) else str(error)
    return OutsideError(f"{where.shown}: {reason}")
