"""`boardtalk boards credentials`: what a board needs to log in at the broker."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter

from boardtalk.cli.common import DONE, await_, errors, me
from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import StateFolder

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 - to recognise them


def credentials(
    name: str,
    /,
    *,
    host: str = "",
    revoke: Annotated[bool, Parameter(negative="")] = False,
    state: StateFolder = None,
) -> int:
    """Print the file `boardtalk.json` that lets a board log in at the broker; an older one stops working.

    Example: boardtalk boards credentials rover > boardtalk.json

    Args:
        name: the board's address, as in its block `board NAME { port = mqtt }`.
        host: what the board calls the broker's machine; a number spares it a look-up.
        revoke: shut the board out instead, at once.
    """
    changed = await_(_change(name, revoke=revoke, state=state))
    if not changed.own:
        errors.print(
            "The broker is somebody else's: have its operator change the login; docs/mqtt.md has its rights.",
            soft_wrap=True,
        )
    if revoke:
        errors.print(f"{name} is shut out")
        return DONE
    settings = {
        "host": host or _reachable(changed.host),
        "port": changed.port,
        "tls": changed.tls,
        **({"ca": "broker.der"} if changed.tls else {}),
        "user": changed.login,
        "password": changed.token,
        "topic": f"boards/{changed.address}",
        "wifi": {"ssid": "", "password": ""},
    }
    print(msgspec.json.format(msgspec.json.encode(settings), indent=2).decode())
    errors.print(
        "Shown only now. Put in your Wi-Fi, then: mpremote fs cp boardtalk.json :\n"
        f"The configuration needs: board {name} {{ port = mqtt }}",
        markup=False,
        soft_wrap=True,
    )
    if settings["host"] in LOOPBACK:
        errors.print(
            "The broker listens for this machine only: boards need `host = 0.0.0.0` in the block `broker`.",
            soft_wrap=True,
        )
    return DONE


async def _change(name: str, *, revoke: bool, state: Path | None) -> control.BoardChanged:
    async with GatewayClient.connect(state or running_folder(), me()) as client:
        return await client.ask(control.ChangeBoard(name, revoke), control.BoardChanged)


def _reachable(host: str) -> str:
    """An address of this machine in the network, if the broker listens at all of them."""
    if host not in WILDCARDS:
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing, but chooses the way
        except OSError:
            return socket.gethostname()
        found: str = probe.getsockname()[0]
        return found
