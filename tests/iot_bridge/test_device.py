"""A board over one session: what a caller may rely on."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from boardtalk.flash.line import Line
from boardtalk.hil.firmware import example
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.cache import DictionaryCache
from boardtalk.modules.iot_bridge.device import Device
from boardtalk.modules.iot_bridge.errors import (
    DictionaryError,
    LinkError,
    NoHello,
    PortLost,
    SessionLost,
    WrongBoard,
)
from boardtalk.modules.iot_bridge.frames import Kind, Outcome, Type
from boardtalk.modules.iot_bridge.limiter import BURST, REPORTS_PER_S
from boardtalk.modules.iot_bridge.news import (
    BoardEvent,
    Dropped,
    LogLine,
    News,
    Order,
    Sent,
    Started,
    Stopped,
    Telemetry,
)
from boardtalk.modules.iot_bridge.transports.serial import SerialPort
from tests.iot_bridge.fake_board import BATTERY, BLINK, FORWARD, FakeBoard


@pytest.fixture
def cache(tmp_path: Path) -> DictionaryCache:
    return DictionaryCache(tmp_path / "dictionaries")


@pytest.fixture
async def device(board: FakeBoard, cache: DictionaryCache) -> AsyncIterator[Device]:
    async with Device(SerialPort(board.port), cache) as device:
        yield device


async def news_until(device: Device, kind: type[News]) -> list[News]:
    """All news up to the first of a kind."""
    got: list[News] = []
    async with asyncio.timeout(5):
        async for item in device.news():
            got.append(item)
            if isinstance(item, kind):
                return got
    raise AssertionError(got)


async def test_a_board_is_greeted_and_its_dictionary_learned(device: Device) -> None:
    assert device.hello.uid == "c0ffee01"
    assert [command.name for command in device.dictionary.commands] == ["forward", "battery", "blink"]


async def test_a_known_dictionary_is_not_fetched_again(board: FakeBoard, cache: DictionaryCache) -> None:
    for _ in range(2):
        async with Device(SerialPort(board.port), cache) as device:
            assert device.dictionary.name == "rover"
    asked = [frame for frame in board.asked if frame.type == Type.DICTIONARY_GET]
    assert len(asked) == -(-len(board.text) // 200)


async def test_a_command_is_sent_started_and_done(device: Device, board: FakeBoard) -> None:
    result = await device.command(Order(id=5, index=BATTERY, ttl_s=1))
    assert (result.outcome, result.data) == (Outcome.DONE, b"\0\0\x40\x40")
    sent, started = await news_until(device, Started)
    assert isinstance(sent, Sent)
    assert (sent.id, sent.tries, started) == (5, 1, Started(5))
    assert sent.wire[:1] == sent.wire[-1:] == b"\0"
    assert 0 < sent.took_s < 1
    assert board.executed == [5]


async def test_commands_of_many_callers_do_not_mix(device: Device, board: FakeBoard) -> None:
    orders = [Order(id=number, index=BLINK, ttl_s=5) for number in range(1, 51)]
    results = await asyncio.gather(*map(device.command, orders))
    assert [result.id for result in results] == [order.id for order in orders]
    assert board.executed == [order.id for order in orders]


async def test_a_caller_who_gives_up_leaves_the_session_intact(device: Device, board: FakeBoard) -> None:
    board.hold = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await device.command(Order(id=1, index=BLINK, ttl_s=1))
    board.hold = False
    assert (await device.command(Order(id=2, index=BLINK, ttl_s=1))).outcome is Outcome.DONE


async def test_the_same_id_again_is_answered_and_not_executed(device: Device, board: FakeBoard) -> None:
    first = await device.command(Order(id=1, index=BATTERY, ttl_s=1))
    again = await device.command(Order(id=1, index=BATTERY, ttl_s=0))
    assert again == first
    assert board.executed == [1]


async def test_asking_with_no_time_left_tells_that_a_command_never_came(device: Device) -> None:
    result = await device.command(Order(id=1, index=BATTERY, ttl_s=0))
    assert result.outcome is Outcome.EXPIRED


async def test_cancel_ends_a_running_command(device: Device, board: FakeBoard) -> None:
    board.hold = True
    running = asyncio.create_task(device.command(Order(id=1, index=BLINK, ttl_s=1)))
    await news_until(device, Started)
    device.cancel(1)
    assert (await running).outcome is Outcome.CANCELLED


async def test_stop_is_confirmed_and_latches(device: Device, board: FakeBoard) -> None:
    await device.stop(epoch=1)
    assert board.latched
    moving = await device.command(Order(id=1, index=FORWARD, ttl_s=1, epoch=1, lease_ms=500))
    assert moving.outcome is Outcome.REJECTED
    await device.rearm(epoch=1)
    assert not board.latched
    stopped, sent, armed = [*await news_until(device, Sent), *await news_until(device, Stopped)]
    assert isinstance(sent, Sent)
    assert (stopped, sent.id, armed) == (Stopped(1, latched=True), 1, Stopped(1, latched=False))
    assert board.executed == []


async def test_stop_is_repeated_until_confirmed(device: Device, board: FakeBoard) -> None:
    board.deaf_to_stop = 5
    await device.stop(epoch=1)
    stops = [frame for frame in board.asked if frame.type == Type.STOP]
    assert len(stops) == 6
    assert {frame.kind for frame in stops} == {Kind.URGENT}


async def test_a_stop_takes_the_time_from_what_has_not_arrived(device: Device, board: FakeBoard) -> None:
    """Beside the epoch: a query of before it, which a stopped board would answer, is not answered late."""
    board.deaf = True
    asking = asyncio.create_task(device.command(Order(id=1, index=BATTERY, ttl_s=5)))
    await asyncio.sleep(0.02)
    stopping = asyncio.create_task(device.stop(epoch=0))
    await asyncio.sleep(0.02)
    board.deaf = False
    await stopping
    assert (await asking).outcome is Outcome.EXPIRED
    assert not board.executed


async def test_stop_needs_an_open_session(board: FakeBoard, cache: DictionaryCache) -> None:
    async with Device(SerialPort(board.port), cache) as device:
        stopping = asyncio.create_task(device.stop(epoch=1))
        board.unplug()
        board.deaf_to_stop = 1000
        with pytest.raises(SessionLost):
            await stopping


async def test_rearm_that_the_board_refuses_is_an_error(device: Device, board: FakeBoard) -> None:
    await device.stop(epoch=3)
    board.deny_rearm = True
    with pytest.raises(LinkError, match="did not agree"):
        await device.rearm(epoch=3)


async def test_renewals_and_set_points_arrive(device: Device, board: FakeBoard) -> None:
    device.renew(7, 500)
    device.set_point(0, 0, 300, b"\0\0\x80\x3f")
    await device.command(Order(id=1, index=BLINK, ttl_s=1))
    sent = {frame.type: frame for frame in board.asked}
    renewed = frames.Renew.parse(sent[Type.RENEW].payload)
    left = board.left_ms(renewed.lease << frames.RENEW_SHIFT, frames.RENEW_MASK)
    assert (renewed.id, left) == (7, pytest.approx(500, abs=250))
    assert sent[Type.SETPOINT].payload.endswith(b"\0\0\x80\x3f")
    assert sent[Type.SETPOINT].kind is Kind.DGRAM


async def test_what_a_board_says_by_itself_comes_as_news(device: Device, board: FakeBoard) -> None:
    board.send(Type.TELEMETRY, b"\0\0\x40\x40", Kind.DGRAM)
    board.send(Type.NONE, b"\x1eLow \x1b[31mbattery", Kind.LOG)
    board.say(b"Traceback:\r\n  oops\r\n\0")
    board.send(Type.EVENT, b"")
    got = await news_until(device, BoardEvent)
    assert set(got) == {
        Telemetry(0, b"\0\0\x40\x40"),
        LogLine(30, "Low  [31mbattery"),
        LogLine(0, "Traceback:"),
        LogLine(0, "  oops"),
        BoardEvent(0, b""),
    }


async def test_an_unplugged_board_is_noticed_by_all_who_wait(board: FakeBoard, device: Device) -> None:
    board.hold = True
    running = asyncio.create_task(device.command(Order(id=1, index=BLINK, ttl_s=1)))
    await news_until(device, Started)
    board.unplug()
    with pytest.raises(SessionLost, match="vanished"):
        await running
    with pytest.raises(PortLost):
        await news_until(device, Dropped)
    with pytest.raises(SessionLost):
        await device.command(Order(id=2, index=BLINK, ttl_s=1))


async def test_a_restarted_board_ends_the_session(board: FakeBoard, device: Device) -> None:
    board.restart()
    with pytest.raises(SessionLost, match="restarted"):
        await news_until(device, Dropped)


async def interrupted(line: Line) -> bytes:
    """Press Ctrl-C until the prompt is there: what comes before a board has started is lost."""
    while True:
        await line.write(b"\x03")
        with suppress(TimeoutError):
            return await line.until(b">>> ", 1)


async def test_a_board_at_whichever_prompt_is_seen_there_and_started_again(cache: DictionaryCache) -> None:
    """What frames type there leads from the prompt to the one for more lines, for pastes, or for programs."""
    async with MicroPythonBoard(example("rover")) as board:
        for typed in (b"", b"if 1:\r", b"\x05", b"\x01"):
            async with Line(board.port, 115_200) as line:
                said = await interrupted(line)
                await line.write(typed)
                with suppress(TimeoutError):
                    while True:
                        said += await line.read(0.3)
            async with Device(SerialPort(board.port), cache, restart=True) as device:
                device._said = said.decode()
                assert device.at_prompt, said
                assert device.hello.uid == board.uid
                device._said = "> 3 V\n"
                assert not device.at_prompt


async def test_another_board_is_refused(board: FakeBoard, cache: DictionaryCache) -> None:
    with pytest.raises(WrongBoard, match="c0ffee01.*instead of 1234"):
        async with Device(SerialPort(board.port), cache, uid="1234"):
            pass


async def test_a_port_where_nobody_answers_is_told_with_what_it_printed(
    board: FakeBoard, cache: DictionaryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boardtalk.modules.iot_bridge.device.HELLO_TIMEOUT_S", 0.3)
    board.deaf = True
    opening = asyncio.create_task(Device(SerialPort(board.port), cache).__aenter__())
    await asyncio.sleep(0.05)
    board.say(b"MicroPython v1.25\r\n>>> ")
    with pytest.raises(NoHello, match="MicroPython v1.25"):
        await opening


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b"\xff\xfe",
        b"not json",
        b'{"name": "x", "commands": 5}',
        b"[" * 20_000,
        b'{"name": "x", "commands": [{"name": "<script>"}]}',
    ],
)
async def test_a_senseless_dictionary_is_a_clear_error(
    board: FakeBoard, cache: DictionaryCache, text: bytes
) -> None:
    board.text = text
    board.restart()
    with pytest.raises(DictionaryError):
        async with Device(SerialPort(board.port), cache):
            pass


async def test_a_dictionary_that_is_too_long_is_refused(board: FakeBoard, cache: DictionaryCache) -> None:
    board.text = b" " * 40_000
    board.restart()
    with pytest.raises(DictionaryError, match="40000"):
        async with Device(SerialPort(board.port), cache):
            pass


async def test_a_full_disk_does_not_keep_a_board_away(board: FakeBoard, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with Device(SerialPort(board.port), DictionaryCache(tmp_path / "file" / "x")) as device:
        assert device.dictionary.name == "rover"


async def test_c17_a_flood_of_reports_is_limited_and_counted(device: Device, board: FakeBoard) -> None:
    began = time.monotonic()
    for _ in range(200):
        for _ in range(10):
            board.send(Type.TELEMETRY, bytes(4), Kind.DGRAM)
        await asyncio.sleep(0)
    await device.command(Order(id=1, index=BLINK, ttl_s=5))
    got = await news_until(device, Started)
    passed = sum(isinstance(item, Telemetry) for item in got)
    dropped = sum(item.count for item in got if isinstance(item, Dropped))
    assert passed <= BURST + REPORTS_PER_S * (time.monotonic() - began)
    assert dropped > 0


async def test_garbage_does_not_end_a_session(device: Device, board: FakeBoard) -> None:
    for _ in range(50):
        board.say(os.urandom(2000))
        await asyncio.sleep(0)
    result = await device.command(Order(id=1, index=BLINK, ttl_s=5))
    assert result.outcome is Outcome.DONE


async def test_closing_leaves_no_descriptor_behind(board: FakeBoard, cache: DictionaryCache) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async with Device(SerialPort(board.port), cache):
        pass
    before = descriptors()
    for _ in range(5):
        async with Device(SerialPort(board.port), cache):
            pass
    assert descriptors() == before


async def test_a_round_trip_is_quick(device: Device) -> None:
    began = time.perf_counter()
    for number in range(1, 201):
        await device.command(Order(id=number, index=BLINK, ttl_s=5))
    print(f"{(time.perf_counter() - began) / 200 * 1e6:.0f} µs a command")
