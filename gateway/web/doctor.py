"""What `boardtalk doctor` looks at for the web page: whether its certificate is still good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boardtalk.sdk import Finding, Severity
from boardtalk.web.tls import CERTIFICATE, FOLDER, is_good_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOON_DAYS = 30


def examine(state: Path) -> Iterator[Finding]:
    """Findings about the certificate that `boardtalk tls` made, if it did."""
    path = state / FOLDER / CERTIFICATE
    if not path.is_file():
        return
    cure = f"`boardtalk tls --state {state}`, then restart the gateway; phones need nothing new"
    if not is_good_for(path, days=0):
        yield Finding(Severity.PROBLEM, "the certificate of the web page is not valid, or not any more", cure)
    elif not is_good_for(path, days=SOON_DAYS):
        yield Finding(Severity.WARNING, f"the certificate of the web page ends within {SOON_DAYS} days", cure)
