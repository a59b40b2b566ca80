"""MQTT packets, held against paho-mqtt and against nonsense."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from boardtalk.sdk.mqtt import packets
from boardtalk.sdk.mqtt.endpoint import MAX_PACKET_BYTES
from boardtalk.sdk.mqtt.packets import Connack, PacketError, Pingresp, Puback, Publish, Suback, Will

TOPICS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="+#\0"), min_size=1, max_size=40
)
PAYLOADS = st.binary(max_size=300)
IDS = st.integers(1, 0xFFFF)


def length(size: int) -> bytes:
    """A packet length, written after the pseudo code of section 2.2.3."""
    digits = bytearray()
    while True:
        size, digit = divmod(size, 128)
        digits.append(digit | 128 if size else digit)
        if not size:
            return bytes(digits)


def on_the_wire(packet: packets.Packet) -> bytes:
    """A packet as a broker sends it."""
    match packet:
        case Connack(code):
            return bytes((0x20, 2, 0, code))
        case Puback(packet_id):
            return b"\x40\x02" + packet_id.to_bytes(2, "big")
        case Suback(packet_id, codes):
            return b"\x90" + length(2 + len(codes)) + packet_id.to_bytes(2, "big") + codes
        case Publish(topic, payload, qos, retain, dup, packet_id):
            name = topic.encode()
            body = (
                len(name).to_bytes(2, "big") + name + (packet_id.to_bytes(2, "big") if qos else b"") + payload
            )
            return bytes((0x30 | dup << 3 | qos << 1 | retain,)) + length(len(body)) + body
        case Pingresp():
            return b"\xd0\x00"


PACKETS = st.one_of(
    st.builds(Connack, st.integers(0, 5)),
    st.builds(Puback, IDS),
    st.builds(Suback, IDS, st.binary(min_size=1, max_size=5)),
    st.builds(Publish, TOPICS, PAYLOADS, st.just(1), st.booleans(), st.booleans(), IDS),
    st.builds(Publish, TOPICS, PAYLOADS, st.just(0), st.booleans(), st.just(False), st.just(0)),
    st.just(Pingresp()),
)


@given(st.lists(PACKETS, max_size=20), st.lists(st.integers(1, 50), min_size=1))
def test_packets_are_read_however_the_bytes_arrive(sent: list[packets.Packet], cuts: list[int]) -> None:
    stream, buffer, got = b"".join(map(on_the_wire, sent)), bytearray(), []
    while stream:
        for size in cuts:
            buffer += stream[:size]
            stream = stream[size:]
            got += packets.take(buffer, 3)
    while rest := packets.take(buffer, 3):
        got += rest
    assert got == sent
    assert not buffer


@given(st.binary(max_size=200))
def test_nonsense_is_a_packet_error_or_waits_for_more(noise: bytes) -> None:
    buffer = bytearray(noise)
    try:
        taken = packets.take(buffer, 1000)
    except PacketError:
        return
    assert noise.endswith(buffer)
    assert bool(taken) == (len(buffer) < len(noise))


@pytest.mark.parametrize(
    "bad",
    [
        b"\x00\x00",
        b"\x10\x00",
        b"\x34\x04\x00\x01a\x00",
        b"\x36\x04\x00\x01a\x00",
        b"\x30\x02\x00\x00",
        b"\x32\x03\x00\x01a",
        b"\x30\x03\x00\xffa",
        b"\x30\x04\x00\x02\xff\xfe",
        b"\x40\x01\x00",
        b"\x20\x03\x00\x00\x00",
        b"\x90\x02\x00\x01",
        b"\xd0\x01\x00",
        b"\x30\xff\xff\xff\xff\x01",
    ],
)
def test_what_breaks_the_protocol_is_refused(bad: bytes) -> None:
    with pytest.raises(PacketError):
        packets.take(bytearray(bad), 1)


def test_a_packet_that_is_too_large_is_refused_before_it_arrives() -> None:
    with pytest.raises(PacketError, match=str(MAX_PACKET_BYTES)):
        packets.take(bytearray(b"\x30" + length(MAX_PACKET_BYTES + 1)), 1)


# ── the other direction: byte for byte what paho writes ──────────────────────────────────────────


@contextmanager
def paho_writing(client: paho.Client) -> Iterator[socket.socket]:
    """The other end of a paho client's connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client.connect("127.0.0.1", server.getsockname()[1], keepalive=30)
        wire, _ = server.accept()
    wire.settimeout(5)
    with wire:
        yield wire
        client.disconnect()


def read(wire: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += wire.recv(size - len(data))
    return data


@pytest.mark.parametrize("will", [None, Will("presence/gateway", b'{"online":false}')])
def test_a_login_is_what_paho_writes(will: Will | None) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, "chat-1234")
    client.username_pw_set("_gateway", "söcret")
    if will:
        client.will_set(*will, qos=1, retain=True)
    ours = packets.connect("chat-1234", "_gateway", "söcret", 30, will)
    with paho_writing(client) as wire:
        assert read(wire, len(ours)) == ours


def test_publications_subscriptions_and_acknowledgements_are_what_paho_writes() -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, "x", manual_ack=True)
    client.max_inflight_messages_set(0)
    number = 0
    with paho_writing(client) as wire:
        read(wire, len(packets.connect("x", "", "", 30)) - 4)

        @given(TOPICS, PAYLOADS, st.booleans())
        def check(topic: str, payload: bytes, retain: bool) -> None:
            nonlocal number
            number += 1
            client.publish(topic, payload, 1, retain)
            client.ack(number, 1)
            ours = packets.publish(topic, payload, number, retain=retain) + packets.puback(number)
            assert read(wire, len(ours)) == ours

        check()
        client.publish("large", b"x" * 200_000, 1)
        ours = packets.publish("large", b"x" * 200_000, number + 1)
        while client.want_write():
            client.loop_write()
        assert read(wire, len(ours)) == ours
        client.publish("now", b"or never", 0)
        ours = packets.publish_once("now", b"or never")
        assert read(wire, len(ours)) == ours
        client.subscribe([("chat/+/out", 1), ("chat/+/stop", 0)])
        ours = packets.subscribe(number + 3, [("chat/+/out", 1), ("chat/+/stop", 0)])
        assert read(wire, len(ours)) == ours


@given(TOPICS, PAYLOADS, IDS, st.booleans())
def test_a_repetition_differs_in_the_dup_flag_only(
    topic: str, payload: bytes, packet_id: int, retain: bool
) -> None:
    first = packets.publish(topic, payload, packet_id, retain=retain)
    (message,) = packets.take(bytearray(packets.again(first)), 1)
    assert message == Publish(topic, payload, 1, retain, True, packet_id)
    assert packets.take(bytearray(first), 1) == [message._replace(dup=False)]
