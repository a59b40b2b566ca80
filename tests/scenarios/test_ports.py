"""`boardtalk run` with ports that are missing, mute, noisy, busy or vanishing."""

from __future__ import annotations

import asyncio
import os
import re
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard
from tests.flash.provisioning import empty, program

from .rig import Gateway, boardtalk, free_port, local_user, until

CONFIGURATION = """\
broker {{
  port = {port}
}}
module iot_bridge {{
}}
"""
BOARD = "board {name} {{\n  port = {path}\n}}\n"
GARBAGE = bytes(range(256)) * 40 + b"\0" * 500 + b"login: \r\n" * 100
USB = """\
import os

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo


def comports():
    port = ListPortInfo(os.environ["PLUGGED_IN"])
    port.vid, port.pid = 0x2E8A, 0x0005
    return [port]


list_ports.comports = comports
"""
"""Makes the processes of a gateway see a Raspberry Pi Pico: there is no USB where tests run."""


@dataclass
class Line:
    """A pty that looks like a serial port, and whoever is at its other end."""

    path: Path
    master: int

    @classmethod
    def open(cls, path: Path) -> Line:
        master, slave = os.openpty()
        tty.setraw(slave)
        path.symlink_to(os.ttyname(slave))
        os.close(slave)
        os.set_blocking(master, False)
        return cls(path, master)

    def close(self) -> None:
        os.close(self.master)
        self.path.unlink()


Run = Callable[..., Gateway]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """`run(name=path, …)`: a gateway with these boards configured."""
    gateways: list[Gateway] = []

    def start(**ports: Path | str) -> Gateway:
        port = free_port()
        text = CONFIGURATION.format(port=port)
        text += "".join(BOARD.format(name=name, path=path) for name, path in ports.items())
        conf = tmp_path / "gateway.conf"
        conf.write_text(text)
        gateways.append(Gateway(tmp_path / "state", "run", "--conf", str(conf), port=port).start())
        return gateways[-1]

    yield start
    for gateway in gateways:
        gateway.end()


def test_boards_that_are_not_there_are_listed_and_refused_in_words(run: Run, tmp_path: Path) -> None:
    mute, noisy = Line.open(tmp_path / "mute"), Line.open(tmp_path / "noisy")
    gateway = run(ghost=tmp_path / "no-such-port", mute=mute.path, noisy=noisy.path, plain="/dev/null")
    written = 0
    for _ in range(20):
        try:
            written += os.write(noisy.master, GARBAGE)
        except BlockingIOError:
            break
    assert written
    listed = gateway.cli("boards")
    assert listed.code == 0
    for name in ("ghost", "mute", "noisy", "plain"):
        assert re.search(rf"\b{name}\b", listed.text)
        assert gateway.board(name)["state"] != "online"
        answer = gateway.chat(name, "forward 1")
        assert answer.code == 1, name
        assert name in answer.text
    mute.close()
    noisy.close()
    assert gateway.cli("boards").code == 0
    assert gateway.alive


def test_a_port_that_appears_and_vanishes_does_no_harm(run: Run, tmp_path: Path) -> None:
    gateway = run(late=tmp_path / "late")
    for _ in range(3):
        line = Line.open(tmp_path / "late")
        assert until(partial(_read, line), "the gateway says hello to what was plugged in")
        line.close()
    assert gateway.cli("boards").code == 0
    assert gateway.chat("late", "forward 1").code == 1


def plug_in(port: Path | str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "sitecustomize.py").write_text(USB)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("PLUGGED_IN", str(port))


async def test_a_board_that_was_found_waits_until_it_is_adopted(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with EmulatedBoard("rover", uid="c0ffee01") as board:
        plug_in(board.port, tmp_path, monkeypatch)
        gateway = await asyncio.to_thread(run)
        await asyncio.to_thread(until, lambda: "c0ffee01 NAME" in gateway.cli("boards").text, "it is found")
        adopted = await asyncio.to_thread(gateway.cli, "boards", "adopt", "c0ffee01", "ada", "--json")
        assert adopted.rows == [{"uid": "c0ffee01", "address": "ada"}]
        assert (await asyncio.to_thread(gateway.chat, "ada", "battery")).code == 0


async def test_a_board_that_was_found_is_adopted_from_chat_too(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with EmulatedBoard("rover", uid="c0ffee03") as board:
        plug_in(board.port, tmp_path, monkeypatch)
        gateway = await asyncio.to_thread(run)
        await asyncio.to_thread(until, lambda: "c0ffee03 NAME" in gateway.cli("boards").text, "it is found")
        for text, reason in (
            ("/adopt c0ffee03", "/adopt UID NAME"),
            ("/adopt c0ffee99 ada", "no board 'c0ffee99' waits"),
            (f"/adopt c0ffee03 {local_user()}", "is the address of a user"),
        ):
            refused = await asyncio.to_thread(gateway.chat, "gateway", text)
            assert (refused.code, reason in refused.text) == (1, True), refused.text
        adopted = await asyncio.to_thread(gateway.chat, "gateway", "/adopt c0ffee03 ada")
        assert (adopted.code, "I am ada from now on" in adopted.text) == (0, True), adopted.text
        assert (await asyncio.to_thread(gateway.chat, "ada", "battery")).code == 0


async def test_an_empty_board_that_was_found_gets_the_client_and_an_address_by_one_command(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with empty(uid="c0ffee02") as board:
        plug_in(board.port, tmp_path, monkeypatch)
        gateway = await asyncio.to_thread(run)
        robot = program(tmp_path / "robot")
        done = await asyncio.to_thread(
            gateway.cli, "flash", "client", "--port", board.port, "--robot", str(robot), "--name", "ada"
        )
        assert done.code == 0, done.text
        answer = await asyncio.to_thread(gateway.chat, "ada", "battery")
        assert (answer.code, "8.2 V" in answer.text) == (0, True), answer.text
        again = await asyncio.to_thread(
            gateway.cli, "flash", "client", "--port", "ada", "--robot", str(robot), "--name", "bob"
        )
        assert "board c0ffee02 is ada already; nothing was touched" in again.text


def test_a_found_port_where_nobody_answers_is_listed_with_what_to_do(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What most people see first: a board with MicroPython, and our client not on it yet."""
    mute = Line.open(tmp_path / "mute")
    plug_in(mute.path, tmp_path, monkeypatch)
    gateway = run()
    until(lambda: "nobody answers" in gateway.cli("boards").text, "the port is listed")
    assert str(mute.path) in gateway.cli("boards").text
    examined = gateway.cli("doctor")
    assert examined.code == 1
    assert f"mend a board on {mute.path}: nobody answers" in examined.text
    assert "board-author.md" in examined.text
    mute.close()


def test_what_a_board_printed_is_shown_as_it_is(run: Run, tmp_path: Path) -> None:
    """Nothing in it is taken for a colour or the like."""
    noisy = Line.open(tmp_path / "noisy")
    gateway = run(noisy=noisy.path)

    def shown() -> bool:
        os.write(noisy.master, b"login: [/b]\r\n")
        return r"login: [/b]\r\n" in gateway.cli("boards").text

    until(shown, "what it printed is shown")
    assert r"login: [/b]\r\n" in gateway.cli("doctor").text
    noisy.close()


def test_two_gateways_cannot_use_one_port(demo: Gateway, run: Run) -> None:
    port = demo.board("rover")["port"]
    second = run(thief=port)
    answer = second.chat("thief", "battery")
    assert answer.code == 1
    assert re.search("busy|in use|used by|held|lock|another", answer.text + second.log), answer.text
    assert demo.chat("rover", "battery").code == 0


def test_a_gateway_with_a_broken_configuration_does_not_start(tmp_path: Path) -> None:
    conf = tmp_path / "gateway.conf"
    conf.write_text("module iot_bridge {\n  lease = soon\n  colour = red\n}\n")
    answer = boardtalk("run", "--conf", str(conf), state=tmp_path / "state")
    assert answer.code == 2
    assert re.search(rf"{re.escape(str(conf))}:[23]:\d+", answer.text), answer.text


def _read(line: Line) -> bytes:
    try:
        return os.read(line.master, 4096)
    except OSError:  # nothing there yet, or nobody has the other end open
        return b""
