"""A session with the firmware: HELLO, dictionary, frames that get lost, text between them."""

from __future__ import annotations

import asyncio

from boardtalk.hil.board import EmulatedBoard
from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.dictionary import digest, parse
from boardtalk.modules.iot_bridge.frames import Kind, Outcome, ResetCause, Type
from boardtalk.modules.iot_bridge.link.arq import Link
from boardtalk.modules.iot_bridge.link.framing import Frame, encode

from .peer import Peer, with_kind


async def test_hello_tells_who_the_board_is(board: EmulatedBoard) -> None:
    async with Peer(board.port) as peer:
        hello = await peer.hello()
    assert (hello.uid, hello.name, hello.version) == ("c0ffee01", "bench", frames.VERSION)
    assert "boardtalk" in hello.firmware
    assert "2.5" in hello.firmware
    assert hello.reset_cause == ResetCause.POWER_ON
    assert (hello.epoch, hello.latched, hello.last_command) == (0, False, 0)
    assert (hello.max_payload, hello.window) == (frames.MAX_PAYLOAD, frames.WINDOW)


async def test_dictionary_is_what_the_robot_declared_and_hashes_as_announced(peer: Peer) -> None:
    hello = await peer.hello()
    text = await peer.dictionary_text()
    assert digest(text) == hello.dictionary
    dictionary = parse(text)
    assert (dictionary.name, dictionary.about) == ("bench", "for tests")
    _, echo = dictionary.by_name["echo"]
    assert [(value.name, value.type) for value in echo.args] == [
        ("number", "int"), ("ratio", "float"), ("yes", "bool"), ("word", "str"), ("pick", "choice"),
    ]  # fmt: skip
    number, *_, pick = echo.args
    assert (number.unit, number.min, number.max, pick.choices) == ("mm", -5, 5, ("red", "blue"))
    assert dictionary.by_name["creep"][1].limit == 1
    assert [(control.name, control.lease) for control in dictionary.controls] == [("drive", 500)]
    assert [event.name for event in dictionary.events] == ["heard"]


async def test_each_telemetry_channel_is_a_query_too(peer: Peer) -> None:
    assert peer.dictionary is not None
    assert {channel.name for channel in peer.dictionary.telemetry} == {"voltage", "steps", "fault"}
    assert peer.dictionary.by_name["voltage"][1].cls == "query"
    assert await peer.do("voltage") == {"voltage": 3.3}


async def test_dictionary_is_the_same_after_each_start(board: EmulatedBoard) -> None:
    async with Peer(board.port) as peer:
        first = await peer.hello()
        await board.reset()
        second = await peer.hello()
    assert first.dictionary == second.dictionary
    assert first.boot != second.boot
    assert second.reset_cause == ResetCause.HARD


async def test_a_board_announces_its_start(board: EmulatedBoard) -> None:
    async with Peer(board.port) as peer:
        peer.link.receive = lambda data, now: [data]  # type: ignore[method-assign,list-item]
        await board.reset()
        hello = encode(Kind.HELLO, Type.HELLO, b"", seq=0, ack=0, retry=False, seed=0)[:3]
        await peer.until(lambda event: isinstance(event, bytes) and hello[:1] in event)


async def test_a_board_that_started_anew_says_so_to_a_peer_of_before(
    board: EmulatedBoard, peer: Peer
) -> None:
    old = peer.link
    await board.kill()
    while peer.seen and peer._read < len(peer.seen):
        peer._read += 1
    await board.reset()
    ended = await peer.until(lambda event: type(event).__name__ == "Ended")
    assert "restarted" in str(ended)
    assert peer.link is old


async def test_another_protocol_version_is_told_so(board: EmulatedBoard) -> None:
    async with Peer(board.port) as peer:
        payload = frames.HelloHost.build(
            {"oldest": frames.VERSION + 1, "newest": frames.VERSION + 1, "nonce": 99}
        )
        peer.link._nonce = 99
        peer.raw(encode(Kind.HELLO, Type.HELLO, payload, seq=0, ack=0, retry=False, seed=0))
        ended = await peer.until(lambda event: type(event).__name__ == "Ended")
        assert "version" in str(ended)


async def test_a_command_of_an_earlier_session_or_from_before_a_reset_is_not_executed(
    board: EmulatedBoard,
) -> None:
    """All else about it is right: the number that is awaited, and a deadline to come."""
    async with Peer(board.port) as peer:
        await peer.learn()
        first = peer.link._seed
        await peer.hello()
        second = peer.link._seed
        assert await _counted(peer, first, second) == {"count": 1}
    await board.reset()
    async with Peer(board.port) as peer:
        await peer.learn()
        await peer.hello()  # with the same nonce as the second one
        assert await _counted(peer, second, peer.link._seed) == {"count": 1}


async def _counted(peer: Peer, *seeds: int) -> dict[str, int]:
    """What the last of some commands returns, each the first frame of a session with such a seed."""
    for id_, seed in enumerate(seeds, 70):
        head = frames.CommandHead.build({"deadline": peer.at(2000), "id": id_, "epoch": 0, "lease": 0})
        type_ = Type.COMMAND + peer._find("count")[0]
        peer.raw(encode(Kind.DATA, type_, head, seq=0, ack=0, retry=False, seed=seed))
    return await peer.returned("count", id_)


async def test_values_of_all_types_there_and_back(peer: Peer) -> None:
    row = {"number": -5, "ratio": 0.25, "yes": True, "word": "gr\u00fc\u00df dich", "pick": "blue"}
    assert await peer.do("echo", **row) == row


async def test_what_robot_code_prints_comes_between_frames_and_harms_none(peer: Peer) -> None:
    bad = peer.link.counters.bad
    await peer.do("chatter")
    await peer.text("line 49: \u00e4\u00f6\u00fc")
    assert peer.link.counters.bad == bad


async def test_text_from_the_gateway_is_skipped(peer: Peer) -> None:
    peer.raw(b"\r\nhello, is anybody there?\r\n" * 60)
    assert await peer.do("voltage") == {"voltage": 3.3}


async def test_heartbeats_are_answered_with_the_clock(peer: Peer) -> None:
    peer.link.set_moving(True, 0.0)
    await peer.do("work", seconds=1)
    assert peer.link.is_open


async def test_telemetry_comes_by_itself(peer: Peer) -> None:
    for _ in range(3):
        frame = await peer.until(
            lambda event: (
                with_kind(event, Kind.DGRAM) and isinstance(event, Frame) and event.type == Type.TELEMETRY
            )
        )
        assert isinstance(frame, Frame)
        assert peer.dictionary is not None
        assert peer.dictionary.telemetry[0].format.unpack(frame.payload) == {"voltage": 3.3}


async def test_telemetry_without_a_rate_comes_when_it_changes_and_now_and_then(
    peer: Peer,
) -> None:
    await peer.do("work", seconds=1)
    came = [event.type - Type.TELEMETRY for event in peer.seen if with_kind(event, Kind.DGRAM)]  # type: ignore[union-attr]
    assert 1 <= came.count(1) <= 2
    assert came.count(0) > 10


async def test_a_broken_sensor_is_complained_about_once(peer: Peer) -> None:
    peer._read = 0  # it may have come before the dictionary
    log = await peer.until(lambda event: with_kind(event, Kind.LOG))
    assert isinstance(log, Frame)
    assert frames.LogBody.parse(log.payload).text == "fault: OSError: sensor gone"
    await peer.do("work", seconds=1)
    assert sum(with_kind(event, Kind.LOG) for event in peer.seen) == 1


async def test_log_lines_carry_their_level(peer: Peer) -> None:
    peer.command("tune", value=7)
    log = await peer.until(
        lambda event: with_kind(event, Kind.LOG) and b"tuned" in event.payload  # type: ignore[union-attr]
    )
    assert isinstance(log, Frame)
    body = frames.LogBody.parse(log.payload)
    assert (body.level, body.text) == (30, "tuned to 7")


async def test_events_come_reliably_and_in_order(peer: Peer) -> None:
    await peer.do("shout", times=12)
    numbers = [
        int.from_bytes(event.payload, "little")
        for event in peer.seen
        if isinstance(event, Frame) and event.type == Type.EVENT
    ]
    assert numbers == list(range(12))


async def test_a_message_in_pieces_is_one_message(board: EmulatedBoard) -> None:
    async with Peer(board.port) as peer:
        peer.link = Link(frame_bytes=19)
        await peer.learn()
        word = "long enough for many pieces"
        echoed = await peer.do("echo", number=-3, ratio=0.5, yes=True, word=word, pick="blue")
        assert (echoed["number"], echoed["word"], echoed["pick"]) == (-3, word, "blue")
        assert await peer.do("count") == {"count": 1}


async def test_c04_what_waited_long_behind_much_else_is_too_late(board: EmulatedBoard) -> None:
    async with Peer(board.port) as peer:
        await peer.learn()
        board.freeze()
        for _ in range(8):
            peer.send(Type.NONE, bytes(100))
        late = peer.command("count", ttl_ms=200)
        await asyncio.sleep(0.5)
        board.thaw()
        assert (await peer.result(late))[0] is Outcome.EXPIRED


async def test_lost_datagrams_are_counted_at_both_ends(peer: Peer) -> None:
    for _ in range(3):
        assert (await peer.frame(Type.TELEMETRY)).kind is Kind.DGRAM
    assert peer.link.counters.lost == 0
    peer.datagram(Type.RENEW, bytes(8))
    peer.link._datagram += 5  # lost on the way
    peer.link._report -= 2  # two reports
    peer.datagram(Type.RENEW, bytes(8))
    await peer.frame(Type.TELEMETRY)
    async with asyncio.timeout(5):
        while not peer.link.counters.missed:  # told with the next heartbeat
            await asyncio.sleep(0.05)
    assert (peer.link.counters.lost, peer.link.counters.missed) == (2, 5)
