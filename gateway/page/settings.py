"""What the gateway tells the processes of the web page."""

from __future__ import annotations

from typing import Final

import msgspec

VIEWS: Final = "views.json"
"""In the state folder: by user, patterns of the robots that he may know of."""


class PageSettings(msgspec.Struct, kw_only=True):
    """What a process of the page is told, as JSON on its command line. No secrets: others may read it."""

    state: str
    """The state folder."""
    fd: int
    """Where it accepts: a listening socket that it inherits."""
    port: int
    """Of the page. Cookies are shared by all ports of a machine: it is in their name."""
    stop_port: int
    host: str
    """Where the page listens."""
    names: tuple[str, ...] = ()
    """By which browsers may call it, besides addresses."""
    certificate: str = ""
    """Path; "" = no TLS."""
    key: str = ""

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return "https" if self.certificate else "http"

    @property
    def cookie(self) -> str:
        """The name of the cookie that holds the session."""
        return f"{'__Host-' if self.certificate else ''}boardtalk-{self.port}"
