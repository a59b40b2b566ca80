"""How people at a terminal learn where the web page is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boardtalk.frontends.control import Page


def link(page: Page) -> str:
    """The address to open. The token stands where browsers keep it to themselves: no log has it."""
    return f"{page.url}/#setup={page.token}" if page.token else f"{page.url}/"


def lines(page: Page, *, anywhere: bool = False) -> list[str]:
    """What to say of the page, with a picture for phones if they can reach it; nothing if there is none.

    Args:
        page: where it is.
        anywhere: whether the token may go anywhere but to a terminal: it is a secret, and logs are kept.
    """
    if not page.url:
        return []
    if not page.token:
        return [f"web page: {link(page)}"]
    if not (anywhere or sys.stdout.isatty()):
        return [f"web page: {page.url}/ (`boardtalk page` tells how to log in for the first time)"]
    from boardtalk.page.processes import is_reachable_from_elsewhere

    told = [f"web page, for the first visit (15 minutes, once): {link(page)}"]
    if is_reachable_from_elsewhere(page.url) and sys.stdout.isatty():
        from boardtalk.web.qr import picture

        told.append(picture(link(page)))
    return told
