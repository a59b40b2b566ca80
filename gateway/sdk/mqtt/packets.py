"""MQTT 3.1.1 packets of a client that speaks QoS 0 and 1: bytes in, packets out. No I/O.

Source: OASIS MQTT 3.1.1, whose section numbers stand at the packets. Why not paho-mqtt: to take a
message in and send it on costs eight times the processor time there (`docs/decisions.md`). It is the
oracle of the tests.
"""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from boardtalk.sdk.mqtt.endpoint import MAX_PACKET_BYTES, BrokerError

if TYPE_CHECKING:
    from collections.abc import Iterable

PINGREQ: Final = b"\xc0\x00"
"""3.12: is the broker still there?"""
MAX_PACKET_ID: Final = 0xFFFF
DUP: Final = 0x08
"""3.3.1.1: the flag of a PUBLISH that is sent again."""
REFUSED: Final = 0x80
"""3.9.3: the answer to a subscription that is not granted."""

_MAX_LENGTH_BYTES: Final = 4


class PacketError(BrokerError):
    """The other end does not speak MQTT 3.1.1 as it should."""


class Connack(NamedTuple):
    """3.2: the answer to a login."""

    code: int
    """0: welcome; 4 and 5: refused."""


class Publish(NamedTuple):
    """3.3: a message."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    """Kept by the broker from some earlier time, not said now."""
    dup: bool = False
    """The broker may have handed it over before."""
    packet_id: int = 0


class Puback(NamedTuple):
    """3.4: a QoS 1 message has arrived."""

    packet_id: int


class Suback(NamedTuple):
    """3.9: the answer to subscriptions."""

    packet_id: int
    codes: bytes
    """One byte for each: the QoS granted, or `REFUSED`."""


class Pingresp(NamedTuple):
    """3.13: yes, still there."""


Packet: TypeAlias = Connack | Publish | Puback | Suback | Pingresp


class Will(NamedTuple):
    """What the broker publishes, retained, when a connection ends without good-bye."""

    topic: str
    payload: bytes


def connect(client_id: str, user: str, password: str, keepalive_s: int, will: Will | None = None) -> bytes:
    """3.1: log in, with a clean session."""
    flags, fields = 0b1100_0010, _string(client_id)
    if will:
        flags |= 0b0010_1100  # retained, QoS 1
        fields += _string(will.topic) + pack(">H", len(will.payload)) + will.payload
    return _packet(
        0x10,
        b"\0\4MQTT\4" + pack(">BH", flags, keepalive_s) + fields + _string(user) + _string(password),
    )


def subscribe(packet_id: int, filters: Iterable[tuple[str, int]]) -> bytes:
    """3.8: ask for topics, each with its highest QoS."""
    return _packet(
        0x82,
        pack(">H", packet_id) + b"".join(_string(name) + bytes((qos,)) for name, qos in filters),
    )


def publish(topic: str, payload: bytes, packet_id: int, *, retain: bool = False) -> bytes:
    """3.3: say something with QoS 1."""
    return _packet(0x32 | retain, _string(topic) + pack(">H", packet_id) + payload)


def publish_once(topic: str, payload: bytes) -> bytes:
    """3.3: say something with QoS 0: who is away misses it."""
    return _packet(0x30, _string(topic) + payload)


def again(published: bytes) -> bytes:
    """The same PUBLISH, marked as a repetition."""
    return bytes((published[0] | DUP,)) + published[1:]


def puback(packet_id: int) -> bytes:
    """3.4: acknowledge a QoS 1 message."""
    return pack(">HH", 0x4002, packet_id)


def take(buffer: bytearray, most: int) -> list[Packet]:
    """Cut at most `most` complete packets off the beginning of `buffer`.

    Raises:
        PacketError: what stands there is no MQTT, or larger than `MAX_PACKET_BYTES`.
    """
    packets: list[Packet] = []
    position = 0
    while len(packets) < most:
        body = _body(buffer, position)
        if body is None:
            break
        start, end = body
        packets.append(_decode(buffer[position], bytes(buffer[start:end])))
        position = end
    del buffer[:position]
    return packets


def _body(buffer: bytearray, position: int) -> tuple[int, int] | None:
    """Begin and end of the body of the packet at `position`; None: not all there yet (2.2.3)."""
    length = 0
    for count in range(_MAX_LENGTH_BYTES):
        at = position + 1 + count
        if at >= len(buffer):
            return None
        length |= (buffer[at] & 0x7F) << 7 * count
        if buffer[at] < 0x80:
            if length > MAX_PACKET_BYTES:
                raise PacketError(f"a packet of {length} bytes; at most {MAX_PACKET_BYTES} are taken")
            return (at + 1, at + 1 + length) if at + length < len(buffer) else None
    raise PacketError("a packet length of more than four bytes")


def _decode(first: int, body: bytes) -> Packet:
    if first & 0xF0 == 0x30:
        return _decode_publish(first, body)
    if first == 0x40 and len(body) == 2:
        return Puback(int.from_bytes(body, "big"))
    if first == 0x20 and len(body) == 2:
        return Connack(body[1])
    if first == 0x90 and len(body) > 2:
        return Suback(int.from_bytes(body[:2], "big"), body[2:])
    if first == 0xD0 and not body:
        return Pingresp()
    raise PacketError(f"an unexpected packet, first byte 0x{first:02x}, {len(body)} bytes")


def _decode_publish(first: int, body: bytes) -> Publish:
    qos = first >> 1 & 3
    topic_end = 2 + int.from_bytes(body[:2], "big")
    payload_start = topic_end + 2 if qos else topic_end
    if qos > 1 or len(body) < payload_start or topic_end == 2:
        raise PacketError(f"a broken message: first byte 0x{first:02x}, {len(body)} bytes")
    try:
        topic = str(body[2:topic_end], "utf-8")
    except UnicodeDecodeError as error:
        raise PacketError("a topic that is not UTF-8") from error
    packet_id = int.from_bytes(body[topic_end:payload_start], "big")
    return Publish(topic, body[payload_start:], qos, bool(first & 1), bool(first & DUP), packet_id)


def _packet(first: int, body: bytes) -> bytes:
    length, digits = len(body), bytearray()
    while length > 0x7F:
        digits.append(length & 0x7F | 0x80)
        length >>= 7
    digits.append(length)
    return bytes((first, *digits)) + body


def _string(text: str) -> bytes:
    """1.5.3: UTF-8 behind its length."""
    data = text.encode()
    return pack(">H", len(data)) + data
