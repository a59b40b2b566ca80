"""The hand-written frame path agrees with the definition and survives anything."""

from __future__ import annotations

from binascii import crc32

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.frames import Kind
from boardtalk.modules.iot_bridge.link import framing
from boardtalk.modules.iot_bridge.link.framing import BadFrame, Deframer, Frame, Text

SEED = 0x12345678

kinds = st.sampled_from(Kind)
bytes_u8 = st.integers(0, 0xFF)
types = st.integers(0, 0xFFFF)
payloads = st.binary(max_size=frames.MAX_PAYLOAD)
a_frame = st.builds(Frame, kinds, types, payloads, seq=bytes_u8, ack=bytes_u8, retry=st.booleans())


def encode(frame: Frame, seed: int = SEED) -> bytes:
    seed = 0 if frame.kind is Kind.HELLO else seed
    kind, type_, payload, seq, ack, retry = frame
    return framing.encode(kind, type_, payload, seq=seq, ack=ack, retry=retry, seed=seed)


def decode(data: bytes, seed: int = SEED) -> list[Frame | Text | BadFrame]:
    deframer = Deframer()
    deframer.seed = seed
    return list(deframer.feed(data))


def cobs_of_the_textbook(body: bytes) -> bytes:
    out, block = bytearray(), bytearray()
    for byte in body + b"\0":
        if byte == 0:
            out += bytes((len(block) + 1,)) + block
            block.clear()
        else:
            block.append(byte)
    return bytes(out)


def as_defined(frame: Frame, seed: int) -> bytes:
    control = frames.VERSION | frame.kind << frames.CTL_KIND_SHIFT
    control |= frames.CTL_RETRY if frame.retry else 0
    header = {"ctl": control, "seq": frame.seq, "ack": frame.ack, "node": 0, "type": frame.type}
    body = frames.Frame.build({"header": header, "payload": frame.payload})
    crc = crc32(body, 0 if frame.kind is Kind.HELLO else seed)
    return b"\0" + cobs_of_the_textbook(body + crc.to_bytes(4, "little")) + b"\0"


@given(a_frame, st.integers(0, 2**32 - 1))
@example(Frame(Kind.DATA, 0x0101, b"\1" * frames.MAX_PAYLOAD), 0)
def test_hand_path_is_byte_identical_to_the_definition(frame: Frame, seed: int) -> None:
    assert encode(frame, seed) == as_defined(frame, seed)


@given(a_frame, st.integers(0, 2**32 - 1))
def test_every_frame_survives_the_round_trip(frame: Frame, seed: int) -> None:
    assert decode(encode(frame, seed), seed) == [frame]


@given(a_frame)
def test_a_frame_costs_thirteen_bytes_beyond_its_payload(frame: Frame) -> None:
    assert len(encode(frame)) == len(frame.payload) + frames.OVERHEAD_BYTES


@given(st.lists(a_frame, max_size=5), st.data())
def test_the_way_in_which_bytes_are_cut_does_not_matter(sent: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(map(encode, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    deframer = Deframer()
    deframer.seed = SEED
    got = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += deframer.feed(stream[start:end])
    assert got == sent


@given(a_frame, st.data())
def test_a_damaged_frame_is_never_taken_for_a_good_one(frame: Frame, data: st.DataObject) -> None:
    good = encode(frame)
    at = data.draw(st.integers(0, len(good) - 1))
    flipped = good[at] ^ data.draw(st.integers(1, 255))
    got = decode(good[:at] + bytes((flipped,)) + good[at + 1 :])
    assert all(not isinstance(item, Frame) for item in got) or at in {0, len(good) - 1}


@given(a_frame)
def test_a_frame_of_another_session_is_refused(frame: Frame) -> None:
    got = decode(encode(frame, SEED), SEED + 1)
    expected = Frame if frame.kind is Kind.HELLO else BadFrame
    assert [type(item) for item in got] == [expected]


@given(a_frame)
def test_without_a_session_only_hello_is_understood(frame: Frame) -> None:
    got = decode(encode(frame), framing.NO_SESSION)
    assert [type(item) for item in got] == [Frame if frame.kind is Kind.HELLO else BadFrame]


@given(st.binary(max_size=2000))
def test_any_bytes_at_all_are_survived(data: bytes) -> None:
    deframer = Deframer()
    list(deframer.feed(data))
    list(deframer.flush())
    frame = Frame(Kind.DATA, 1, b"still there")
    deframer.seed = SEED
    assert list(deframer.feed(b"\0" + encode(frame)))[-1] == frame


@given(a_frame)
def test_console_text_between_frames_comes_as_text(frame: Frame) -> None:
    printed = "Traceback (most recent call last):\r\n  °C?\r\n"
    got = decode(encode(frame) + printed.encode() + encode(frame))
    assert got == [frame, Text(printed), frame]


def test_text_without_a_frame_after_it_comes_when_the_line_is_quiet() -> None:
    deframer = Deframer()
    assert list(deframer.feed(b"\0MicroPython v1.25\r\n>>> ")) == []
    assert list(deframer.flush()) == [Text("MicroPython v1.25\r\n>>> ")]
    assert list(deframer.flush()) == []


def test_an_unfinished_frame_is_not_taken_for_text() -> None:
    deframer = Deframer()
    deframer.seed = SEED
    frame = Frame(Kind.DATA, 1, b"hello")
    data = encode(frame)
    assert list(deframer.feed(data[:9])) == []
    assert list(deframer.flush()) == []
    assert list(deframer.feed(data[9:])) == [frame]


def test_long_text_comes_in_whole_lines() -> None:
    lines = [f"line {number}\n" for number in range(100)]
    got = [item for item in decode("".join(lines).encode() + b"\0") if isinstance(item, Text)]
    assert "".join(item.text for item in got) == "".join(lines)
    assert all(item.text.endswith("\n") for item in got)


@pytest.mark.parametrize("byte", [b"x", b"\xff", b"\1"])
def test_ten_megabytes_without_a_delimiter_fill_no_memory(byte: bytes) -> None:
    deframer = Deframer()
    for _ in range(10_000):
        for _ in deframer.feed(byte * 1000):
            pass
        assert len(deframer._rest) <= framing.MAX_PIECE_BYTES


def test_a_payload_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 243"):
        encode(Frame(Kind.DATA, 1, bytes(frames.MAX_PAYLOAD + 1)))


@given(payloads, st.binary(min_size=1, max_size=framing.MAX_PIECE_BYTES))
def test_unstuffing_accepts_nothing_but_what_stuffing_makes(body: bytes, other: bytes) -> None:
    assert framing.unstuff(framing.stuff(body)) == body
    undone = framing.unstuff(other)
    assert undone is None or framing.stuff(undone) == other
