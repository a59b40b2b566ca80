"""What pytest-embedded does of what boardtalk's plugin does: a test for each cell. Run by `features`."""

from __future__ import annotations

import functools
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

Cell = Any
"""Takes what stands in the table: `record_property`."""
IMAGE_BYTES = 32 << 20
SERVICES = "embedded_services, port"
MACHINE = "embedded_services, qemu_prog_path, qemu_image_path, qemu_cli_args"
PORT = os.environ["TRIAL_PORT"]
IMAGE = Path("flash.bin").absolute()
IMAGE.write_bytes(bytes(IMAGE_BYTES))
EMPTY = "empty"
Path(EMPTY).mkdir(exist_ok=True)
QEMU_START_S = 1.0
"""It is not waited for by the plugin's QMP."""


@functools.cache
def names() -> list[str]:
    """Of options and fixtures of all its services."""
    found = []
    for asked, pattern in (("--help", r"(--[\w-]+)"), ("--fixtures", r"^(\w+)")):
        command = [sys.executable, "-m", "pytest", "-c", os.devnull, asked, EMPTY]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        found += re.findall(pattern, told, re.MULTILINE)
    return found


def named(*words: str) -> list[str]:
    """Options and fixtures with a part of their name that begins with one of these words."""
    assert {"--embedded-services", "dut"} <= set(names())
    return [name for name in names() if any(part.startswith(words) for part in re.split("[-_]", name))]


FAR_AWAY = socket.create_server(("127.0.0.1", 0))


@pytest.mark.parametrize(
    SERVICES, [("serial", f"socket://127.0.0.1:{FAR_AWAY.getsockname()[1]}")], indirect=True
)
def test_far_port(dut: Any) -> None:
    with FAR_AWAY.accept()[0] as connection:
        connection.sendall(b"far away")
        dut.expect_exact("far away", timeout=5)


@pytest.mark.parametrize(SERVICES, [("serial", PORT)], indirect=True)
def test_port(dut: Any, record_property: Cell) -> None:
    dut.write("print(6 * 7)\r\n")
    dut.expect_exact("42", timeout=5)
    record_property("cell", "yes, also over TCP")


def test_pty(record_property: Cell) -> None:
    assert not named("pty", "pseudo", "pair")
    record_property("cell", "no")


def test_board(record_property: Cell) -> None:
    assert not named("micropython", "emulat", "simulat")
    assert named("wokwi")
    record_property("cell", "no; its Wokwi is a service, not tried")


@pytest.mark.parametrize(
    MACHINE, [("qemu", "qemu-system-arm", str(IMAGE), "-nographic -machine ast2500-evb")], indirect=True
)
def test_qemu(dut: Any, record_property: Cell) -> None:
    time.sleep(QEMU_START_S)
    assert dut.qemu.qmp_execute_cmd("query-status")["running"]
    command = f"qemu-system-arm -nographic -machine microbit -drive file={IMAGE},if=mtd,format=raw"
    refused = subprocess.run(command.split(), capture_output=True, text=True, timeout=10, check=False)
    assert "does not support if=mtd" in refused.stderr
    record_property("cell", "machines whose flash is `if=mtd` (ast2500-evb); no micro:bit")


def test_faults(record_property: Cell) -> None:
    assert not named("fault", "drop", "corrupt", "noise", "unplug")
    record_property("cell", "no")


NEAR, FAR = os.openpty()


@pytest.mark.parametrize(
    "embedded_services, port, baud", [("serial", os.ttyname(FAR), "9600")], indirect=True
)
def test_pace(dut: Any, record_property: Cell) -> None:
    read = threading.Thread(target=lambda: os.read(NEAR, 1000), daemon=True)
    read.start()
    began = time.monotonic()
    dut.write(bytes(1000))
    read.join(5)
    assert time.monotonic() - began < 0.5  # 9600 baud would take a second
    assert not named("pace", "throttle", "delay")
    record_property("cell", "no")


@pytest.mark.parametrize(
    MACHINE, [("qemu", "qemu-system-arm", str(IMAGE), "-nographic -machine ast2500-evb")], indirect=True
)
def test_power(dut: Any, record_property: Cell) -> None:
    time.sleep(QEMU_START_S)
    dut.qemu._hard_reset()
    assert not named("power")
    record_property("cell", "resets QEMU")


@pytest.mark.parametrize(SERVICES, [("serial", PORT)], indirect=True)
def test_record(dut: Any, record_property: Cell) -> None:
    dut.write("print(6 * 7)\r\n")
    dut.expect_exact("42", timeout=5)
    time.sleep(0.5)
    assert b"42" in Path(dut.logfile).read_bytes()
    record_property("cell", "what the board prints")


def test_replay(record_property: Cell) -> None:
    assert not named("replay", "playback")
    record_property("cell", "no")


def test_pins(record_property: Cell) -> None:
    assert not named("gpio", "pin", "digital")
    record_property("cell", "no")
