"""What a board needs to log in at the broker: its file `boardtalk.json`."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.cli.common import me
from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient

if TYPE_CHECKING:
    from pathlib import Path

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 - to recognise them
AUTHORITY: Final = "broker.der"
"""On the board: the certificate of the broker's authority."""
NOT_OURS: Final = (
    "The broker is somebody else's: have its operator change the login; docs/mqtt.md has its rights."
)
THIS_MACHINE_ONLY: Final = (
    "The broker listens for this machine only: boards need `host = 0.0.0.0` in the block `broker`."
)


async def change(name: str, state: Path, *, revoke: bool = False) -> control.BoardChanged:
    """A fresh login for a board, or none any more; the old one stops working."""
    async with GatewayClient.connect(state, me()) as client:
        return await client.ask(control.ChangeBoard(name, revoke), control.BoardChanged)


def host_of(changed: control.BoardChanged, host: str) -> str:
    """What the board calls the broker's machine: what somebody says, else what it can reach."""
    return host or _reachable(changed.host)


def settings(changed: control.BoardChanged, host: str, ssid: str = "", password: str = "") -> bytes:
    """The file's content, a secret.

    Args:
        changed: the login.
        host: as `host_of` tells.
        ssid: name of the Wi-Fi.
        password: of the Wi-Fi.
    """
    made = {
        "host": host,
        "port": changed.port,
        "tls": changed.tls,
        **({"ca": AUTHORITY} if changed.tls else {}),
        "user": changed.login,
        "password": changed.token,
        "topic": f"boards/{changed.address}",
        "wifi": {"ssid": ssid, "password": password},
    }
    return msgspec.json.format(msgspec.json.encode(made), indent=2)


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
