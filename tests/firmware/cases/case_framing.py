"""Frames on a line: the golden bytes that the gateway is tested with, and damage."""

import json
import os
import random
from binascii import unhexlify

from stream import Stream

from boardtalk.framing import Line

with open(os.getenv("VECTORS")) as file:
    VECTORS = json.load(file)
NUMBERED = 0
URGENT = 7 << 2


def line_for(vector, room=100_000):
    line = Line(Stream(room))
    line.seed = vector["seed"]
    line.ack = vector["ack"]
    return line, line._stream


def test_frames_are_written_as_golden():
    for vector in VECTORS:
        line, stream = line_for(vector)
        control = vector["ctl"] & ~3
        assert line.send(control, vector["seq"], vector["type"], unhexlify(vector["payload"]))
        assert bytes(stream.gone) == unhexlify(vector["wire"]), vector["name"]


def test_golden_frames_are_read():
    for vector in VECTORS:
        line, stream = line_for(vector)
        stream.coming = unhexlify(vector["wire"])
        line.fill()
        assert line.next() is True, vector["name"]
        assert line.buffer[line.at : line.end] == unhexlify(vector["raw"])[:-4]
        assert bytes(line.buffer[line.at + 6 : line.end]) == unhexlify(vector["payload"])
        assert line.next() is None


def test_frames_may_share_a_delimiter_and_come_in_any_pieces():
    random.seed(1)
    vectors = [vector for vector in VECTORS if vector["seed"]]
    wire = b"text\n" + b"".join(unhexlify(vector["wire"])[:-1] for vector in vectors) + b"\0"
    for _ in range(50):
        line, stream = line_for(vectors[0])
        rest, found = wire, []
        while rest:
            size = random.randrange(1, 300)
            stream.coming, rest = rest[:size], rest[size:]
            while line.fill():
                while (result := line.next()) is not None:
                    assert result
                    found.append(bytes(line.buffer[line.at : line.end]))
        assert found == [unhexlify(vector["raw"])[:-4] for vector in vectors]


def test_each_damaged_byte_is_found():
    for vector in VECTORS:
        wire = unhexlify(vector["wire"])
        for place in range(1, len(wire) - 1):
            for bit in (1, 128):
                line, stream = line_for(vector)
                stream.coming = wire[:place] + bytes([wire[place] ^ bit]) + wire[place + 1 :]
                while line.fill():
                    assert not line.next()


def test_frames_of_another_session_are_not_understood():
    for vector in VECTORS:
        line, stream = line_for(vector)
        line.seed = 12345 if vector["seed"] else -1
        stream.coming = unhexlify(vector["wire"])
        line.fill()
        assert line.next() is (False if vector["seed"] else True)


def test_random_bytes_never_raise_and_never_pass():
    random.seed(2)
    line, stream = line_for(VECTORS[1])
    for _ in range(300):
        stream.coming = bytes(random.choice((0, 1, 2, 3, 5, 200, 255)) for _ in range(random.randrange(700)))
        while line.fill():
            while line.next() is not None:
                assert not line.next()


def test_a_frame_that_finds_no_room_is_finished_before_the_next():
    vector = VECTORS[3]
    wire = unhexlify(vector["wire"])
    line, stream = line_for(vector, 10)
    assert line.send(vector["ctl"] & ~3, vector["seq"], vector["type"], unhexlify(vector["payload"]))
    assert len(stream.gone) == 10
    assert not line.send(NUMBERED, 0, 0, b"")
    stream.room = 1000
    assert line.send(vector["ctl"] & ~3, vector["seq"], vector["type"], unhexlify(vector["payload"]))
    assert bytes(stream.gone) == wire + wire


def test_an_urgent_frame_that_finds_no_room_goes_when_there_is_some():
    vector = VECTORS[3]
    line, stream = line_for(vector, 10)
    payload = unhexlify(vector["payload"])
    assert line.send(vector["ctl"] & ~3, vector["seq"], vector["type"], payload)
    assert not line.send(URGENT, 0, 0, b"once")
    stream.room = 1000
    assert line.drain()
    other, alone = line_for(vector)
    assert other.send(URGENT, 0, 0, b"once")
    assert bytes(stream.gone) == unhexlify(vector["wire"]) + bytes(alone.gone)
