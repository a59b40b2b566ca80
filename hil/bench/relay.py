"""The smallest relay with paho-mqtt, in a process of its own: what `boardtalk bench broker` compares with.

Each message on ``chat/+/out`` goes out on ``chat/bob/in``; login and password come on standard input.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


def main() -> None:
    """Relay until the end."""
    user, password = sys.stdin.readline().strip(), sys.stdin.readline().strip()
    client: Any = paho.Client(CallbackAPIVersion.VERSION2, manual_ack=True)
    client.username_pw_set(user, password)
    client.max_inflight_messages_set(0)  # with a limit each acknowledgement walks through all of them

    def relay(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        client.publish("chat/bob/in", message.payload, qos=1)
        client.ack(message.mid, message.qos)

    client.on_message = relay
    client.on_connect = lambda *_: client.subscribe("chat/+/out", qos=1)
    client.on_subscribe = lambda *_: print("ready", flush=True)  # noqa: T201 - for the bench
    client.on_socket_open = lambda _, __, sock: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.connect(sys.argv[1], int(sys.argv[2]))
    client.loop_forever()


if __name__ == "__main__":
    main()
