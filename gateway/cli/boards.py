"""`boardtalk boards credentials`: what a board needs to log in at the broker."""

from __future__ import annotations

from boardtalk.cli import logins
from boardtalk.cli.common import DONE, await_, errors
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import StateFolder


def credentials(
    name: str,
    /,
    *,
    host: str = "",
    revoke: bool = False,
    state: StateFolder = None,
) -> int:
    """Print the file `boardtalk.json` that lets a board log in at the broker; an older one stops working.

    Example: boardtalk boards credentials rover > boardtalk.json

    Args:
        name: the board's address, as in its block `board NAME { port = mqtt }`.
        host: what the board calls the broker's machine; a number spares it a look-up.
        revoke: shut the board out instead, at once.
    """
    changed = await_(logins.change(name, state or running_folder(), revoke=revoke))
    if not changed.own:
        errors.print(logins.NOT_OURS, soft_wrap=True)
    if revoke:
        errors.print(f"{name} is shut out")
        return DONE
    where = logins.host_of(changed, host)
    print(logins.settings(changed, where).decode())
    errors.print(
        "Shown only now. Put in your Wi-Fi, then: mpremote fs cp boardtalk.json :\n"
        f"The configuration needs: board {name} {{ port = mqtt }}",
        markup=False,
        soft_wrap=True,
    )
    if where in logins.LOOPBACK:
        errors.print(logins.THIS_MACHINE_ONLY, soft_wrap=True)
    return DONE
