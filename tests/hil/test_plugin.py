"""What the pytest plugin's fixtures do, in plain tests and in async ones."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import paho.mqtt.client as paho
import pytest
import serial
from paho.mqtt.enums import CallbackAPIVersion

from boardtalk import hil
from boardtalk.hil.line import TO_BOARD, TO_GATEWAY
from boardtalk.hil.plugin.boards import Board
from boardtalk.hil.plugin.chats import Chat
from boardtalk.hil.plugin.gateways import Gateway
from boardtalk.hil.plugin.lines import Line, Pair, TcpLine
from boardtalk.hil.plugin.talk import ChatError
from tests.scenarios.rig import until

WAIT_S = 5.0
LAMP = Path(hil.__file__).parent / "examples" / "lamp" / "robot" / "main.py"


def test_a_command_is_answered_with_all_that_was_told_of_it(chat: Chat) -> None:
    answer = chat.send("rover", "forward 20")
    assert answer.state == "done"
    assert answer.text.startswith("x 20")
    assert answer.states == ("accepted", "sent", "started", "done")
    assert "did you mean forward" in chat.send("rover", "fowrard 20").reason


async def test_an_async_test_awaits_the_same(chat: Chat, board: Board) -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    beating = asyncio.create_task(beat())
    assert (await chat.send("rover", "forward 20")).state == "done"
    assert beats > 5, "the test's own loop runs on meanwhile"
    beating.cancel()
    motion = await chat.begin("rover", "forward 300")
    await board.until(left=50, right=50)
    await chat.stop()
    assert (await motion.end()).state == "cancelled"


async def test_two_messages_of_an_async_test_go_at_once(chat: Chat) -> None:
    answers = await asyncio.gather(chat.send("rover", "battery"), chat.send("rover", "position"))
    assert [answer.state for answer in answers] == ["done", "done"]


def test_a_robot_drives_until_it_is_stopped(chat: Chat, board: Board) -> None:
    motion = chat.begin("rover", "forward 300")
    board.until(left=50, right=50)
    chat.stop("rover")
    board.until(left=0, right=0)
    assert motion.end().state == "cancelled"
    assert chat.send("rover", "forward 20").state == "rejected"
    assert chat.send("rover", "rearm").state == "done"
    assert [moment.state for moment in board.outputs if "left" in moment.state]


def test_what_never_begins_is_no_motion_to_wait_for(chat: Chat) -> None:
    with pytest.raises(ChatError, match=r"'forward 900' has not begun: rejected: distance: 900 cm"):
        chat.begin("rover", "forward 900")
    assert chat.begin("rover", "battery").end().state == "done"


def test_the_world_and_the_board_are_at_the_tests_mercy(chat: Chat, board: Board) -> None:
    board.world(battery=6.2)
    assert "6.2" in chat.send("rover", "battery").text
    board.freeze()
    with pytest.raises(ChatError, match="the message has not ended"):
        chat.send("rover", "battery", timeout=0.5)
    board.thaw()
    chat.hears("battery|V")
    board.reset()
    board.power_off()
    with pytest.raises(ChatError, match="the message has not ended"):
        chat.send("rover", "battery", timeout=0.5)
    board.power_on()
    chat.insist("rover", "battery")


def test_what_does_not_come_fails_with_what_came_instead(chat: Chat) -> None:
    chat.send("rover", "battery")
    with pytest.raises(ChatError, match=r"not within 0.1 s: nobody said 'never'; heard: .* V"):
        chat.hears("never", timeout=0.1)


def test_several_users_talk(gateway: Gateway, chat: Chat) -> None:
    bob = gateway.chat("bob", role="viewer")
    assert bob.send("tester", "how is the rover?").state == "done"
    assert bob.send("carol", "are you there?").state == "rejected"
    gateway.token("carol")
    assert bob.send("carol", "are you there?").state == "accepted"
    assert chat.hears("rover").sender == "bob"
    assert bob.send("rover", "battery").state == "done"
    assert bob.send("rover", "forward 20").state == "rejected"


def test_commands_are_done_over_a_bad_line(chat: Chat, line: Line) -> None:
    line.lose(0.1)
    line.corrupt(0.1)
    line.duplicate(0.1)
    line.reorder(0.1)
    line.split()
    states = [chat.send("rover", "battery").state for _ in range(20)]
    assert states == ["done"] * 20
    assert all(line.fired[fault] for fault in ("lose", "corrupt", "duplicate", "reorder", "split"))


def test_a_plug_that_is_pulled_and_put_back(chat: Chat, line: Line) -> None:
    line.unplug()
    assert chat.send("rover", "battery").state != "done"
    line.plug()
    chat.insist("rover", "battery")


def test_another_board_in_the_slot_is_refused(
    chat: Chat, line: Line, make_board: Callable[..., Board]
) -> None:
    line.swap(make_board("rover"))
    until(lambda: "it is left alone" in chat.send("rover", "battery").reason, "it is refused")
    line.plug()
    chat.insist("rover", "battery")
    assert line.fired["swap"] == 1


async def test_faults_come_at_times_and_at_bytes(chat: Chat, line: Line) -> None:
    line.at(0.2, line.cut.add, TO_BOARD)
    await asyncio.to_thread(until, lambda: line.cut, "it is cut")
    line.clear()
    passed = line.passed[TO_BOARD]
    line.after(10, line.unplug)
    sent = asyncio.ensure_future(chat.send("rover", "battery"))
    await asyncio.to_thread(until, lambda: line.fired["unplug"], "it is unplugged")
    await asyncio.sleep(0.2)
    assert line.passed[TO_BOARD] == passed + 10, "not one byte more"
    await line.plug()
    await sent
    await chat.insist("rover", "battery")


def test_a_frozen_line_holds_what_comes(chat: Chat, line: Line) -> None:
    line.at(0, line.freeze)
    line.at(0.3, line.thaw)
    assert chat.send("rover", "battery").state == "done"
    assert line.fired["freeze"] == 1


async def test_the_gateway_reaches_its_board_at_the_right_rate_only(chat: Chat, line: Line) -> None:
    line.baud(115_200)
    assert (await chat.send("rover", "horn 0.1")).state == "done"
    assert line.fired["pace"]
    assert not line.fired["garbage"]
    line.baud(57_600)
    sent = asyncio.ensure_future(chat.send("rover", "horn 0.1"))
    await asyncio.to_thread(until, lambda: line.fired["garbage"], "it is garbage")
    await asyncio.sleep(0.5)
    assert not sent.done()
    sent.cancel()


def test_the_gateway_dies_and_comes_back(chat: Chat, gateway: Gateway, board: Board) -> None:
    chat.begin("rover", "forward 300")
    board.until(left=50, right=50)
    gateway.kill()
    board.until(left=0, right=0)
    gateway.start()
    assert chat.send("rover", "battery").state == "done"


@pytest.fixture
def ports(pty_pair: Pair) -> object:
    left, right = pty_pair
    with ExitStack() as stack:
        ends = (serial.Serial(port, 9600, timeout=WAIT_S) for port in (left, right))
        yield tuple(map(stack.enter_context, ends))


def test_a_pair_of_ports_is_a_cable(ports: tuple[serial.Serial, serial.Serial]) -> None:
    left, right = ports
    left.write(bytes(range(256)))
    assert right.read(256) == bytes(range(256))
    right.write(b"back")
    assert left.read(4) == b"back"


def test_a_pair_of_ports_takes_its_time(ports: tuple[serial.Serial, serial.Serial], pty_pair: Pair) -> None:
    left, right = ports
    pty_pair.line.baud(9600)
    began = time.monotonic()
    left.write(bytes(960))
    right.write(bytes(960))
    assert (right.read(960), left.read(960)) == (bytes(960), bytes(960))
    assert time.monotonic() - began >= 1.0, "960 bytes, both ways at once"


def test_the_wrong_rate_gives_garbage(ports: tuple[serial.Serial, serial.Serial], pty_pair: Pair) -> None:
    left, right = ports
    pty_pair.line.baud(9600)
    left.baudrate = 19200
    left.write(b"hello")
    assert right.read(5) != b"hello"
    left.baudrate = 9600
    left.write(b"hello")
    assert right.read(5) == b"hello"


def test_a_pair_of_ports_loses_what_it_shall(
    ports: tuple[serial.Serial, serial.Serial], pty_pair: Pair
) -> None:
    left, right = ports
    pty_pair.line.drop(0.5)
    left.write(bytes(1000))
    until(lambda: pty_pair.line.passed[TO_GATEWAY] == 1000, "all went its way")
    right.timeout = 0.2
    assert len(right.read(1000)) == 1000 - pty_pair.line.fired["drop"] < 700


def test_the_broker_is_reached_through_a_line(gateway: Gateway, tcp_line: Callable[..., TcpLine]) -> None:
    line = tcp_line(*gateway.mqtt)
    heard: list[str] = []
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.reconnect_delay_set(1, 1)
    client.username_pw_set("carol", gateway.token("carol"))
    client.on_connect = lambda *_: client.subscribe("chat/carol/in", 1)
    client.on_message = lambda _, __, message: heard.append(message.payload.decode())
    client.connect(line.host, line.port)
    client.loop_start()
    try:
        until(client.is_connected, "connected")
        line.unplug()
        until(lambda: not client.is_connected(), "cut off")
        line.plug()
        until(client.is_connected, "back")
        client.publish("chat/carol/out", "rover: battery", 1)
        until(lambda: any("V" in each for each in heard), "answered")
    finally:
        client.disconnect()
        client.loop_stop()
    assert line.passed[TO_BOARD]
    assert line.passed[TO_GATEWAY]


class TestModules:
    @pytest.fixture
    def gateway_conf(self) -> str:
        return "module filter {\n blocked_words = fool\n}"

    def test_the_gateway_has_the_modules_of_a_test(self, chat: Chat) -> None:
        assert chat.send("tester", "you fool").state == "rejected"


class TestMqttBoards:
    @pytest.fixture
    def gateway_conf(self) -> str:
        return "board arm {\n port = mqtt\n}"

    def test_their_way_to_the_broker_has_the_same_faults(
        self,
        gateway: Gateway,
        chat: Chat,
        tcp_line: Callable[..., TcpLine],
        make_board: Callable[..., Board],
        tmp_path: Path,
    ) -> None:
        line = tcp_line(*gateway.mqtt)
        login = gateway.board_login("arm") | {"host": line.host, "port": line.port}
        (tmp_path / "boardtalk.json").write_text(json.dumps(login))
        make_board(str(LAMP), str(tmp_path / "boardtalk.json"))
        chat.insist("arm", "shine 30")
        line.unplug()
        assert chat.send("arm", "shine 40").state != "done"
        line.plug()
        assert chat.insist("arm", "brightness").text == "30 %"


WIRE = """
from machine import PWM, Pin

into, out, pulses = Pin(4, Pin.IN), Pin(2, Pin.OUT), PWM(Pin(3), freq=1000, duty_u16=0)
while True:
    out.value(into.value())
    pulses.duty_u16(1000 * into.value())
"""


def test_pins_are_driven_and_seen(make_board: Callable[..., Board], tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(WIRE)
    pins = make_board(str(tmp_path)).pins
    for level in (1, 0, 1):
        pins[4].value = level
        pins[2].until(level)
        pins[3].until(duty=1000 * level)
    assert pins[2].mode == "out"
    assert [change.value for change in pins.history if change.pin == 2][-3:] == [1, 0, 1]


@pytest.mark.board("../../hil/examples/lamp/robot", name="teller", uid="ab12")
def test_a_marker_says_what_the_board_runs(chat: Chat, board: Board) -> None:
    assert (board.name, board.uid) == ("teller", "ab12")
    assert "a lamp that blinks" in chat.send("teller", "help").text
