"""From what a configuration calls a port to the transport that opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boardtalk.modules.iot_bridge.errors import PortError
from boardtalk.modules.iot_bridge.transports import rfc2217, tcp
from boardtalk.modules.iot_bridge.transports.serial import SerialPort

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.transports import Port


def transport(port: str, baud: int) -> Port:
    """The transport to a port; unopened, for one use.

    Args:
        port: a path, ``tcp://HOST:PORT`` or ``rfc2217://HOST:PORT``.
        baud: bits per second.

    Raises:
        PortError: it is none of these.
    """
    scheme, is_url, _ = port.partition("://")
    match scheme:
        case tcp.SCHEME if is_url:
            return tcp.TcpPort(port, baud)
        case rfc2217.SCHEME if is_url:
            return rfc2217.Rfc2217Port(port, baud)
        case _ if is_url:
            raise PortError(f"{port}: no such kind of port; there are /dev/…, tcp:// and rfc2217://")
        case _:
            return SerialPort(port, baud)
