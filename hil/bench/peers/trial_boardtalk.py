"""What boardtalk's plugin does: a test for each cell of the table beside others. Run by `features`."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import serial

Cell = Any
"""Takes what stands in the table: `record_property`."""
BOARDTALK = [sys.executable, "-m", "boardtalk"]
DRIVES = """
def test_it_drives(chat):
    assert chat.send("rover", "battery").state == "done"
"""
LAMP = """
from machine import ADC, PWM, Pin
from boardtalk import Arg, Board
lamp = Board("lamp")
led = PWM(Pin(25), freq=1000, duty_u16=0)
button = Pin(4, Pin.IN)
light = ADC(26)

@lamp.command("action", brightness=Arg(int, "%", 0, 100))
def shine(brightness):
    led.duty_u16(brightness * 65535 // 100)

@lamp.command("query", returns={"level": Arg(int)})
def pressed():
    return button.value()

@lamp.command("query", returns={"level": Arg(int)})
def seen():
    return light.read_u16()

lamp.run()
"""


FOLDER = Path(__file__).with_name("lamp")
FOLDER.mkdir(exist_ok=True)
(FOLDER / "main.py").write_text(LAMP)


def test_port(make_board: Any, tmp_path: Path, record_property: Cell) -> None:
    (tmp_path / "test_rover.py").write_text(DRIVES)
    port = make_board("rover").port
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, make_board("rover").port), daemon=True).start()
        for where in (port, f"tcp://127.0.0.1:{server.getsockname()[1]}"):
            command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--board", where, "test_rover.py"]
            assert "1 passed" in subprocess.check_output(command, cwd=tmp_path, text=True)
    record_property("cell", "yes (`--board`), also over TCP")


def _serve(server: socket.socket, path: str) -> None:
    """A port, for who connects."""
    with server.accept()[0] as far, serial.Serial(path) as near:
        while True:
            ready = select.select([far.fileno(), near.fileno()], (), ())[0]
            if near.fileno() in ready:
                far.sendall(near.read(near.in_waiting or 1))
            if far.fileno() in ready:
                data = far.recv(256)
                if not data:
                    return
                near.write(data)


def test_pty(pty_pair: Any, record_property: Cell) -> None:
    left, right = pty_pair
    with serial.Serial(left, timeout=5) as one, serial.Serial(right, timeout=5) as other:
        one.write(b"to the right")
        assert other.read(12) == b"to the right"
    record_property("cell", "yes, each board's and `pty_pair`")


def test_board(record_property: Cell) -> None:
    with serial.Serial(os.environ["TRIAL_PORT"], timeout=5) as port:
        port.write(b"print(6 * 7)\r")
        assert b"42" in port.read_until(b"42\r\n")
    record_property("cell", "real MicroPython, `machine` emulated")


def test_qemu(record_property: Cell) -> None:
    started = subprocess.Popen([*BOARDTALK, "hil", "board", "microbit"], stdout=subprocess.PIPE, text=True)
    try:
        assert started.stdout
        with serial.Serial(started.stdout.readline().split()[1], timeout=5) as port:
            assert port.read_until(b">>> ").endswith(b">>> ")
    finally:
        started.terminate()
        started.wait()
    record_property("cell", "a micro:bit, with MicroPython")


def test_faults(chat: Any, line: Any, record_property: Cell) -> None:
    line.lose(0.3)
    line.flip(0.01)
    for _ in range(5):
        assert chat.send("rover", "battery").state == "done"
    assert line.fired["lose"]
    assert line.fired["flip"]
    line.clear()
    line.at(0.1, line.drop, 0.01)
    line.after(10, line.unplug)
    assert chat.send("rover", "battery").state != "done"
    line.plug()
    assert chat.insist("rover", "battery").state == "done"
    record_property("cell", "on bytes, frames, the plug; by chance with a seed, at a time, at a byte")


def test_pace(pty_pair: Any, record_property: Cell) -> None:
    pty_pair.line.baud(9600)
    left, right = pty_pair
    with serial.Serial(left, 9600) as one, serial.Serial(right, 9600, timeout=5) as other:
        began = time.monotonic()
        one.write(bytes(960))
        assert len(other.read(960)) == 960
        assert time.monotonic() - began > 0.9
    with serial.Serial(left, 115_200) as one, serial.Serial(right, 9600, timeout=1) as other:
        one.write(b"what?")
        assert other.read(5) != b"what?"
    record_property("cell", "yes; a wrong rate gives garbage")


def test_power(chat: Any, board: Any, record_property: Cell) -> None:
    board.power_off()
    assert chat.send("rover", "battery").state != "done"
    board.power_on()
    assert chat.insist("rover", "battery").state == "done"
    record_property("cell", "of emulated boards")


def test_record(chat: Any, gateway: Any, tmp_path: Path, record_property: Cell) -> None:
    recorded = _recorded(chat, gateway, tmp_path / "short.jsonl").read_text()
    for entry in ('"said"', '"passed"', '"down":true', '"down":false'):
        assert entry in recorded
    record_property("cell", "chat, modules' verdicts, frames both ways")


def test_replay(chat: Any, gateway: Any, tmp_path: Path, record_property: Cell) -> None:
    recorded = _recorded(chat, gateway, tmp_path / "short.jsonl")
    subprocess.run([*BOARDTALK, "replay", str(recorded)], check=True)
    record_property("cell", "yes, exact, in virtual time")


def _recorded(chat: Any, gateway: Any, file: Path) -> Path:
    command = [*BOARDTALK, "record", str(file), "--state", str(gateway.folder), "--seconds", "2"]
    recorder = subprocess.Popen(command)
    time.sleep(1)
    assert chat.send("rover", "battery").state == "done"
    assert recorder.wait() == 0
    return file


@pytest.mark.board("lamp")
def test_pins(chat: Any, board: Any, record_property: Cell) -> None:
    assert chat.send("lamp", "shine 50").state == "done"
    assert board.pins[25].duty == 65535 // 2
    board.pins[4].value = 1
    assert chat.send("lamp", "pressed").text == "level 1"
    board.pins[26].reading = 40_000
    assert chat.send("lamp", "seen").text == "level 40000"
    record_property("cell", "of emulated boards: seen and driven, digital, PWM, analogue")
