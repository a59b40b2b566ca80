"""`boardtalk tls`: what it takes to encrypt the web page."""

from __future__ import annotations

import sys

from boardtalk.cli.common import DONE, console, print_json
from boardtalk.sdk.folders import default_folder
from boardtalk.sdk.options import AsJson, StateFolder


def tls(*names: str, state: StateFolder = None, json: AsJson = False) -> int:
    """Make a certificate for the web page, by an authority of its own that phones can be told to trust.

    It is good for this machine's names and addresses, for 397 days: then run this again. The authority stays.

    Example: boardtalk tls rover.example.org

    Args:
        names: further names or addresses by which browsers are to find the page.
    """
    from boardtalk.web.qr import picture
    from boardtalk.web.tls import make

    made = make(state or default_folder(), names)
    if json:
        print_json(made)
        return DONE
    where = f"https://{names[0] if names else made.reach}:8443/ca.crt"
    lines = [
        f"certificate for {made.days} days: {', '.join(made.names)}",
        "",
        "1. In the configuration, then restart the gateway:",
        "     listen {",
        "       host = 0.0.0.0",
        "       port = 8443",
        "       tls = yes",
        *([f"       names = {', '.join(names)}"] if names else []),
        "     }",
        f"2. On each phone or computer open {where} (your port, if it is another one), go on in",
        "   spite of the warning, and install what comes as an authority; on iOS switch it on, too:",
        "   Settings, General, About, Certificate Trust Settings. It must show this SHA-256 fingerprint:",
        f"     {made.fingerprint}",
        "   It can vouch for nothing but the names above and private networks.",
    ]
    if not made.new_authority:
        lines.append("   It is the one of last time: whoever trusts it already has nothing to do.")
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    if sys.stdout.isatty():
        console.print(picture(where), markup=False, soft_wrap=True)
    return DONE
