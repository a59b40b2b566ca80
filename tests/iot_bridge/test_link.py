"""The link delivers everything in order and exactly once, whatever the line does."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.errors import LinkBusy, SessionLost, VersionError
from boardtalk.modules.iot_bridge.frames import MAX_PAYLOAD, Kind, Type
from boardtalk.modules.iot_bridge.link import arq as link_module
from boardtalk.modules.iot_bridge.link.arq import Link
from boardtalk.modules.iot_bridge.link.events import Delivered, Ended, Event, Expired, Opened, Timed
from boardtalk.modules.iot_bridge.link.framing import Deframer, Frame, Text
from boardtalk.modules.iot_bridge.link.heartbeat import FIRST_QUESTION
from boardtalk.modules.iot_bridge.link.hello import CTRL_C, Hello, draw_nonce, parse_hello
from boardtalk.modules.iot_bridge.link.window import Item, SendWindow
from tests.iot_bridge.peer import HELLO, BoardLink, Faults, VirtualLine, hello_payload, messages

QUIET = Faults(random.Random(0))


def a_line(faults: Faults = QUIET, hello: Hello = HELLO, **line: float) -> VirtualLine:
    made = VirtualLine(Link(), BoardLink(hello), faults, **line)
    made.ends[0].open(nonce=99, now=0.0)
    return made


def an_open_line(**line: float) -> VirtualLine:
    made = a_line(**line)
    made.run(until=1.0)
    assert made.ends[0].is_open
    made.ends[0]._heard_at = math.inf  # until it says more, it need not be asked whether it is there
    made.events(0)
    made.events(1)
    return made


def payloads(events: Iterable[Event], kind: Kind = Kind.DATA) -> list[bytes]:
    return [event.payload for event in events if isinstance(event, Frame) and event.kind is kind]


def of(kind: type[Event], events: Iterable[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def sent_frames(link: Link, now: float) -> list[Frame]:
    """What a link puts on the line now, to a board that it has heard just now."""
    link._heard_at = now
    deframer = Deframer()
    deframer.seed = link._seed
    return [item for item in deframer.feed(link.to_send(now)) if isinstance(item, Frame)]


# Reliability ------------------------------------------------------------------------------------

FIRED: dict[str, int] = {}


@pytest.fixture(scope="module", autouse=True)
def all_faults_fired() -> Iterable[None]:
    FIRED.clear()
    yield
    print("faults fired:", FIRED)
    if FIRED:
        assert all(FIRED[name] for name in ("drop", "flip", "double", "cut", "noise")), FIRED


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), window=st.sampled_from([1, 2, 16]))
def test_everything_arrives_in_order_exactly_once(seed: int, window: int) -> None:
    rng = random.Random(seed)
    faults = Faults(rng, drop=0.03, flip=0.03, double=0.03, cut=0.02, noise=0.02)
    hello = Hello(boot=7, dictionary=b"12345678", uid="c0ffee01", window=window)
    line = a_line(faults, hello)
    line.run(until=5.0)
    sent: tuple[list[bytes], list[bytes]] = ([], [])
    for number in range(100):
        for end, said in zip(line.ends, sent, strict=True):
            for _ in range(rng.randrange(3)):
                message = number.to_bytes(2, "little") + rng.randbytes(rng.randrange(60))
                end.send(Type.EVENT, message)
                said.append(message)
        line.run(until=line.now + rng.random() * 0.05)
    line.run(until=line.now + 30)
    host, board = line.events(0), line.events(1)
    assert payloads(board) == sent[0]
    assert payloads(host) == sent[1]
    assert len(of(Delivered, host)) == len(sent[0])
    assert not of(Ended, [*host, *board])
    for name, times in faults.fired.items():
        FIRED[name] = FIRED.get(name, 0) + times


def test_a_lost_frame_costs_one_repetition_and_no_timeout() -> None:
    line = an_open_line()
    host = line.ends[0]
    line.ends[0]._sending.round_trip.learn(0.005, 45)
    host.send(Type.EVENT, b"lost on the way")
    assert host.to_send(line.now)
    host.send(Type.EVENT, b"overtakes it")
    line.run(until=line.now + 0.02)  # sooner than any timeout
    assert payloads(line.events(1)) == [b"lost on the way", b"overtakes it"]
    assert host.counters.resent == 1


def test_a_damaged_frame_is_asked_for_at_once() -> None:
    line = an_open_line()
    host = line.ends[0]
    host.send(Type.EVENT, b"damaged")
    data = bytearray(host.to_send(line.now))
    data[8] ^= 4
    line.deliver(1, bytes(data))
    line.run(until=line.now + 0.02)
    assert payloads(line.events(1)) == [b"damaged"]
    assert host.counters.resent == 1


def test_a_frame_that_is_never_acknowledged_ends_the_session_of_a_board_that_is_else_alive() -> None:
    line = an_open_line()
    host, board = line.ends
    lost: list[Frame] = []

    def lose(frame: Frame, now: float) -> list[Frame]:
        lost.append(frame)
        return []

    board._on_data = lose  # type: ignore[method-assign]
    host.send(Type.EVENT, b"into the void")
    line.run(until=line.now + 60)
    (ended,) = of(Ended, line.events(0))
    assert isinstance(ended, Ended)
    assert "does not acknowledge" in str(ended.error)
    assert [each.tries for each in ended.undelivered] == [len(lost)] == [1 + link_module.GIVE_UP_TIMEOUTS]


def test_too_many_waiting_frames_are_refused() -> None:
    line = an_open_line()
    with pytest.raises(LinkBusy, match="wait for the line"):
        for _ in range(1000):
            line.ends[0].send(Type.EVENT, b"")


def test_without_a_session_nothing_can_be_sent() -> None:
    with pytest.raises(SessionLost):
        Link().send(Type.EVENT, b"")


# Precedence -------------------------------------------------------------------------------------


def test_stop_goes_before_everything_that_waits() -> None:
    line = an_open_line()
    host = line.ends[0]
    for _ in range(50):
        host.send(Type.EVENT, bytes(100))
    line.run(until=line.now + 0.001)
    host.send_urgent(Type.STOP, b"\1\0")
    assert sent_frames(host, line.now)[0].type == Type.STOP


@pytest.mark.parametrize("room", [1, 64, 300])
def test_a_line_gets_no_more_than_it_has_room_for_and_the_end_of_a_frame(room: int) -> None:
    line = an_open_line()
    host = line.ends[0]
    for _ in range(50):
        host.send(Type.EVENT, bytes(130))  # two would be too long for a frame
    assert room <= len(host.to_send(line.now, room)) < room + 130 + frames.OVERHEAD_BYTES


def test_no_more_is_in_flight_than_the_peer_can_hold() -> None:
    line = a_line(hello=Hello(boot=7, dictionary=b"12345678", uid="c0ffee01", buffer=400))
    line.run(until=1.0)
    host = line.ends[0]
    host._heard_at = line.now
    for _ in range(50):
        host.send(Type.EVENT, bytes(100))
    sent = 0
    while data := host.to_send(line.now):
        sent += len(data)
    assert 300 < sent <= 400


def test_a_message_that_is_long_for_the_line_goes_in_pieces_and_is_delivered_once() -> None:
    line = VirtualLine(Link(frame_bytes=50), BoardLink(), QUIET)
    line.ends[0].open(nonce=99, now=0.0)
    line.run(until=1.0)
    line.events(0)
    host = line.ends[0]
    token = host.send(Type.COMMAND, bytes(4) + b"x" * 76, expires=line.now + 9.0)
    pieces = sent_frames(host, line.now)
    assert [len(piece.payload) for piece in pieces] == [37, 37]
    line.run(until=line.now + 1.0)
    [delivered] = of(Delivered, line.events(0))
    assert delivered.token == token
    assert delivered.wire.count(b"\0\0") == 2  # of three frames


# Batches ----------------------------------------------------------------------------------------


def test_small_messages_that_wait_for_the_line_share_a_frame_and_are_delivered_one_by_one() -> None:
    line = an_open_line()
    host = line.ends[0]
    said = [bytes((number,)) * 8 for number in range(30)]
    tokens = [host.send(Type.EVENT, each) for each in said]
    [first, *_] = sent_frames(host, line.now)
    assert (first.type, len(first.payload)) == (Type.BATCH, 22 * 11)
    line.run(until=line.now + 1)
    assert payloads(line.events(1)) == said
    delivered = of(Delivered, line.events(0))
    assert [event.token for event in delivered if isinstance(event, Delivered)] == tokens


def test_a_message_that_need_not_wait_goes_by_itself_at_once() -> None:
    line = an_open_line()
    host = line.ends[0]
    for _ in range(3):
        host.send(Type.EVENT, bytes(8))
        [frame] = sent_frames(host, line.now)
        assert frame.type == Type.EVENT


def test_a_small_board_gets_no_batches() -> None:
    line = a_line(hello=Hello(boot=7, dictionary=b"12345678", uid="c0ffee01", max_payload=60))
    line.run(until=1.0)
    for _ in range(3):
        line.ends[0].send(Type.EVENT, bytes(8))
    assert [frame.type for frame in sent_frames(line.ends[0], line.now)] == [Type.EVENT] * 3


def test_on_a_slow_line_a_batch_takes_half_as_long_as_a_frame_may() -> None:
    line = VirtualLine(Link(frame_bytes=230), BoardLink(), QUIET)
    line.ends[0].open(nonce=99, now=0.0)
    line.run(until=1.0)
    for _ in range(50):
        line.ends[0].send(Type.EVENT, bytes(8))
    longest = max(len(frame.payload) for frame in sent_frames(line.ends[0], line.now))
    assert 90 < longest + frames.OVERHEAD_BYTES <= 115


def test_what_expires_before_its_batch_goes_is_left_out_and_a_stop_reaches_into_batches() -> None:
    line = an_open_line()
    host = line.ends[0]
    deadlines = [host.clock.deadline(line.now + seconds).to_bytes(4, "little") for seconds in (9, 0.01, 9)]
    tokens = [
        host.send(Type.COMMAND, deadline + bytes((number,)), expires=line.now + seconds)
        for number, (deadline, seconds) in enumerate(zip(deadlines, (9, 0.01, 9), strict=True))
    ]
    later = line.now + 0.02
    assert of(Expired, host.receive(b"", later)) == [Expired(tokens[1])]
    [batch] = sent_frames(host, later)
    assert [each.payload for each in messages(batch)] == [deadlines[0] + b"\0", deadlines[2] + b"\2"]
    host.withdraw(later)
    [again] = [each for each in sent_frames(host, later + 1) if each.kind is Kind.DATA]
    assert [each.payload for each in messages(again)] == [bytes(5), bytes(4) + b"\2"]


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_messages_short_and_long_keep_their_order_in_batches_and_pieces(seed: int) -> None:
    rng = random.Random(seed)
    faults = Faults(rng, drop=0.05, flip=0.05)
    line = VirtualLine(Link(frame_bytes=rng.choice((50, 100, 0))), BoardLink(), faults)
    line.ends[0].open(nonce=99, now=0.0)
    line.run(until=5.0)
    said = [rng.randbytes(rng.choice((4, 8, 30, 90))) for _ in range(60)]
    for each in said:
        line.ends[0].send(Type.EVENT, each)
        if rng.random() < 0.3:
            line.run(until=line.now + rng.random() * 0.01)
    line.run(until=line.now + 30)
    assert b"".join(payloads(line.events(1))) == b"".join(said)
    assert len(of(Delivered, line.events(0))) == len(said)


def test_a_board_gets_no_longer_payloads_than_it_takes() -> None:
    line = a_line(hello=Hello(boot=7, dictionary=b"12345678", uid="c0ffee01", max_payload=20))
    line.run(until=1.0)
    line.ends[0].send(Type.EVENT, bytes(50))
    assert [len(piece.payload) for piece in sent_frames(line.ends[0], line.now)] == [20, 20]


def test_datagrams_may_fall_overboard_but_are_counted() -> None:
    line = an_open_line()
    host, board = line.ends
    for number in range(link_module.DATAGRAMS + 3):
        host.send_datagram(Type.RENEW, bytes((number,)))
    line.run(until=line.now + 2.0)
    kept = range(3, link_module.DATAGRAMS + 3)
    assert payloads(line.events(1), Kind.DGRAM) == [bytes((number,)) for number in kept]
    assert (board.counters.lost, host.counters.missed) == (3, 3)


@pytest.mark.parametrize("kind", [Kind.DGRAM, Kind.LOG])
def test_unreliable_frames_that_get_lost_are_counted_at_both_ends(kind: Kind) -> None:
    rng = random.Random(5)
    line = an_open_line()
    host, board = line.ends
    for end in (host, board):
        end.send_datagram(Type.TELEMETRY, b"first", kind)
    line.run(until=line.now + 0.1)
    line.events(0), line.events(1)
    line._faults = Faults(rng, drop=0.2, double=0.1)
    for number in range(400):  # more than are numbered
        for end in (host, board):
            end.send_datagram(Type.TELEMETRY, number.to_bytes(2, "little"), kind)
        line.run(until=line.now + 0.01)
    line._faults = QUIET
    for end in (host, board):
        end.send_datagram(Type.TELEMETRY, b"last", kind)
    line.run(until=line.now + 2.0)
    came = [len(set(payloads(line.events(end), kind))) for end in (0, 1)]
    assert [host.counters.lost, board.counters.lost] == [401 - each for each in came]
    assert host.counters.missed == board.counters.lost > 50


def test_an_acknowledgement_rides_on_the_answer() -> None:
    line = an_open_line()
    host, board = line.ends
    host.send(Type.EVENT, b"question")
    board.receive(host.to_send(line.now), line.now)
    board.send(Type.EVENT, b"answer")
    events = host.receive(board.to_send(line.now), line.now)
    assert [type(event) for event in events] == [Delivered, Frame]
    assert board.to_send(line.now + 0.01) == b""


# Expiry -----------------------------------------------------------------------------------------


def test_what_is_repeated_keeps_its_deadline_unless_it_was_withdrawn() -> None:
    line = an_open_line()
    host = line.ends[0]
    deadline = host.clock.deadline(line.now + 0.5).to_bytes(4, "little")
    host.send(Type.COMMAND, deadline + b"rest", expires=line.now + 0.5)

    def sent(wait: float) -> bytes:
        [frame] = [each for each in sent_frames(host, line.now + wait) if each.kind is Kind.DATA]
        return frame.payload

    assert [sent(0.0), sent(0.3)] == [deadline + b"rest"] * 2
    host.withdraw(line.now + 0.4)
    assert sent(0.9) == bytes(4) + b"rest"  # asks whether an earlier copy came in time


def test_what_expires_unsent_is_dropped_and_reported() -> None:
    line = an_open_line()
    host = line.ends[0]
    tokens = [host.send(Type.COMMAND, bytes(200), expires=line.now + 0.01 * number) for number in (9, 9, 1)]
    assert host.to_send(line.now, 300)
    assert of(Expired, host.receive(b"", line.now + 0.02)) == [Expired(tokens[2])]


# The board's clock ------------------------------------------------------------------------------


def test_the_boards_clock_is_known_as_soon_as_a_session_is_open() -> None:
    line = a_line()
    line.run(until=0.05)
    assert [type(event) for event in line.events(0)] == [Opened, Timed]


def test_before_that_everything_is_too_late() -> None:
    assert Link().clock.deadline(1.0) == 0


def test_on_a_line_that_takes_longer_than_the_heartbeat_the_clock_is_still_known() -> None:
    line = a_line(turnaround_s=0.6)
    line.run(until=10.0)
    assert of(Timed, line.events(0))


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32))
def test_no_deadline_is_later_than_it_should_be_however_long_answers_take(seed: int) -> None:
    rng = random.Random(seed)
    line = a_line(Faults(rng, drop=0.1))
    for _ in range(40):
        line._turnaround_s = rng.choice((0.001, rng.random()))
        line.run(until=line.now + rng.random())
        at = line.now + rng.random() * 5
        deadline = line.ends[0].clock.deadline(at)
        assert deadline <= at * 1000


def test_a_board_that_answers_a_heartbeat_twice_or_unasked_changes_nothing() -> None:
    line = an_open_line()
    host, board = line.ends
    known = host.clock.read(line.now)
    for question in (0, FIRST_QUESTION, 77):
        payload = question.to_bytes(4, "little") + b"\xff\xff\xff\0"
        host.receive(board._encode(Kind.TIME, Type.TIME, payload), line.now)
    assert host.clock.read(line.now) == known


@pytest.mark.parametrize("clock", [0.0, 0x03000000 / 1000, 0x0303 / 1000])
def test_a_heartbeat_does_not_interrupt_a_board_that_starts(clock: float) -> None:
    """It is not known yet that the board starts. For hours on end, a byte of the clock was that of Ctrl-C."""
    line = an_open_line()
    host, board = line.ends
    for number in range(300):
        now = clock + line.now + number
        asked = host.to_send(now)
        assert CTRL_C not in asked, asked.hex()
        board.receive(asked, now)
        host.receive(board.to_send(now), now)
    assert host.counters.sent > 300


@pytest.mark.parametrize("seed", range(20))
def test_nothing_but_a_stop_interrupts_a_board_that_may_have_started_anew_unnoticed(seed: int) -> None:
    """It says nothing any more. What is to go waits until it does."""
    line = an_open_line()
    host, board = line.ends
    rng = random.Random(seed)
    for _ in range(rng.randrange(8)):  # numbers and acknowledgements somewhere
        board.send(Type.EVENT, b"")
    host.send(Type.COMMAND | 3, b"before")
    line.run(until=line.now + 1.0)
    began, sent = line.now, b""
    for _ in range(8):
        host.send(Type.COMMAND | 3, rng.randbytes(20))
        host.send_datagram(Type.RENEW, rng.randbytes(6))
        host.receive(b"\0" + rng.randbytes(15).replace(b"\0", b"") + b"\0", line.now)
        while data := host.to_send(line.now):
            sent += data
        line.now += 0.05
    assert sent, "it is asked whether it is there"
    assert CTRL_C not in sent, sent.hex(" ")
    host.send_urgent(Type.STOP, b"\x03\x03")
    assert CTRL_C in host.to_send(line.now, room=1)
    assert line.now - began < 0.5
    line.run(until=line.now + 1.0)
    assert len(line.board.arrived) == 9, "it was there after all"


# Sessions ---------------------------------------------------------------------------------------


def test_hello_opens_a_session_on_both_ends() -> None:
    line = a_line()
    line.run(until=0.05)
    (opened,) = of(Opened, line.events(0))
    assert isinstance(opened, Opened)
    assert (opened.hello.uid, opened.hello.boot) == (HELLO.uid, HELLO.boot)
    assert line.ends[1].is_open


def test_hello_is_repeated_until_answered_and_a_repeated_one_changes_nothing() -> None:
    line = a_line(Faults(random.Random(3), drop=0.5))
    line.run(until=10)
    assert len(of(Opened, line.events(0))) == 1
    line = an_open_line()
    host, board = line.ends
    host.send(Type.EVENT, b"one")
    line.run(until=line.now + 0.1)
    hello = frames.HelloHost.build({"oldest": 1, "newest": 1, "nonce": 99})
    list(board._on_frame(Frame(Kind.HELLO, Type.HELLO, hello), line.now))
    host.send(Type.EVENT, b"two")
    line.run(until=line.now + 0.1)
    assert payloads(line.events(1)) == [b"one", b"two"]


def test_frames_right_behind_hello_belong_to_the_new_session() -> None:
    host, board = Link(), BoardLink()
    host.open(nonce=1, now=0)
    board.receive(host.to_send(0), 0)
    data = board.to_send(0)
    board.send(Type.EVENT, b"at once")
    events = host.receive(data + board.to_send(0), 0)
    assert payloads(events) == [b"at once"]


def test_a_board_that_restarts_ends_the_session() -> None:
    line = an_open_line()
    line.ends[1].announce(line.now)
    line.run(until=line.now + 0.1)
    (ended,) = of(Ended, line.events(0))
    assert isinstance(ended, Ended)
    assert "restarted" in str(ended.error)


def test_a_board_that_starts_late_is_greeted_at_once() -> None:
    line = a_line(Faults(random.Random(0), drop=1.0))
    line.run(until=9.0)
    line._faults = QUIET
    line.ends[0]._hello_at = line.now + 60
    line.ends[1].announce(line.now)
    line.run(until=line.now + 0.1)
    assert of(Opened, line.events(0))


def test_a_board_of_another_protocol_version_is_told_apart() -> None:
    line = a_line(hello=Hello(boot=1, dictionary=bytes(8), uid="00", version=0, firmware="old 0.0"))
    line.run(until=1.0)
    (ended,) = of(Ended, line.events(0))
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, VersionError)
    assert "old 0.0" in str(ended.error)


@pytest.mark.parametrize(("moving", "within"), [(False, 5.0), (True, 0.6)])
def test_a_silent_board_is_noticed(moving: bool, within: float) -> None:
    line = an_open_line()
    line.ends[0].set_moving(moving, line.now)
    line.run(until=line.now + 3)
    assert line.ends[0].is_open
    line._faults = Faults(random.Random(0), drop=1.0)
    line.run(until=line.now + within)
    assert "silent" in str(of(Ended, line.events(0))[0])


def test_an_idle_line_carries_little() -> None:
    line = an_open_line()
    before = sum(line.sent_bytes)
    line.run(until=line.now + 60)
    assert line.ends[0].is_open
    assert sum(line.sent_bytes) - before <= 61 * (17 + 23)


def test_a_gateway_that_was_stopped_for_a_while_does_not_blame_the_board() -> None:
    line = an_open_line()
    host = line.ends[0]
    assert not of(Ended, host.receive(b"", line.now + 3600))


# Hostile boards ---------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_noise_never_raises_nor_ends_a_session(chunks: list[bytes]) -> None:
    line = an_open_line()
    host = line.ends[0]
    for chunk in chunks:
        assert not of(Ended, host.receive(chunk, line.now))
        while host.to_send(line.now):
            pass
    assert host.is_open


frames_of_a_liar = st.builds(
    Frame,
    st.sampled_from(Kind),
    st.integers(0, 0xFFFF),
    st.binary(max_size=243),
    seq=st.integers(0, 255),
    ack=st.integers(0, 255),
)


@given(st.lists(frames_of_a_liar, max_size=60))
def test_valid_frames_that_lie_never_raise(lies: list[Frame]) -> None:
    line = an_open_line()
    host, board = line.ends
    for number, lie in enumerate(lies):
        if number % 3 == 0 and host.is_open:
            host.send(Type.EVENT, b"honest")
        data = board._encode(lie.kind, lie.type, lie.payload, lie.seq)
        host.receive(data, line.now)
        while host.to_send(line.now):
            pass
    assert len(host._acks._window._early) < 32


@given(st.binary(max_size=120))
def test_hello_of_any_bytes_is_parsed_or_refused(payload: bytes) -> None:
    hello = parse_hello(payload)
    assert hello is None or len(hello.uid) >= 2


@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(0, 255))
def test_hello_survives_the_round_trip(boot: int, latched: bool, window: int) -> None:
    hello = Hello(boot=boot, dictionary=b"abcdefgh", uid="00ff", latched=latched, window=window)
    parsed = parse_hello(hello_payload(hello, 5))
    assert parsed is not None
    assert (parsed.boot, parsed.latched, parsed.host_nonce) == (boot, latched, 5)
    assert 1 <= parsed.window <= frames.WINDOW


def test_console_text_comes_as_an_event() -> None:
    line = an_open_line()
    assert line.ends[0].receive(b"\0Traceback\n\0", line.now) == [Text("Traceback\n")]
    assert line.ends[0].receive(b">>> ", line.now) == []
    assert line.ends[0].receive(b"", line.now + 1) == [Text(">>> ")]


def after_small_frames() -> SendWindow:
    """Small frames were answered within 5 ms; now four large ones are in flight, sent at 1.0 s."""
    window = SendWindow(16, 1024, MAX_PAYLOAD, 0)
    for number in range(8):
        window.queue.append(Item(number + 1, Type.NONE, b"", None))
        assert window.take(number / 10)
        window.acknowledge(number + 1, 0, number / 10 + 0.005)
    window.queue.extend(Item(10 + number, Type.NONE, bytes(MAX_PAYLOAD), None) for number in range(4))
    for _ in range(4):
        assert window.take(1.0)
    assert window.take(1.0) is None
    return window


def test_a_large_frame_is_given_the_time_that_it_takes_on_a_line_of_unknown_speed() -> None:
    window = after_small_frames()
    for number in range(4):
        at = 1.0 + 0.024 * (number + 1)  # 115,200 baud
        assert window.take(at - 0.001) is None, "nothing is repeated that is on its way"
        window.acknowledge(9 + number, 0, at)


def test_the_late_answer_to_a_frame_that_was_repeated_says_nothing_of_those_behind_it() -> None:
    window = after_small_frames()
    late = window.due()
    assert late is not None
    repeated = window.take(late)
    assert repeated is not None
    assert repeated.tries == 2
    window.acknowledge(9, 0, late + 0.002)
    assert window.take(late + 0.002) is None
    due = window.due()
    assert due is not None
    assert due - 1.0 > 1.5 * (late + 0.002 - 1.0), "and it is known now how long an answer takes"


def test_a_greeting_interrupts_no_board_that_has_not_started_its_program_yet() -> None:
    for _ in range(500):
        host = Link()
        host.open(draw_nonce(), now=0.0)
        sent = host.to_send(0.0)
        assert sent
        assert b"\x03" not in sent
