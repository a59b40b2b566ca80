"""What labgrid does of what boardtalk's plugin does: a test for each cell of the table. Run by `features`."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from labgrid import Environment, Target
from labgrid.consoleloggingreporter import ConsoleLoggingReporter
from labgrid.driver import ExternalPowerDriver, FileDigitalOutputDriver, SerialDriver
from labgrid.factory import target_factory
from labgrid.resource import NetworkSerialPort, RawSerialPort

Cell = Any
"""Takes what stands in the table: `record_property`."""
FIRMWARE = "/usr/share/firmware-microbit-micropython/firmware.hex"
MICROBIT = f"""
targets:
  main:
    drivers:
      QEMUDriver:
        qemu_bin: qemu
        machine: microbit
        cpu: cortex-m0
        memory: 16K
        extra_args: -device loader,file={FIRMWARE}
tools:
  qemu: qemu-system-arm
"""


def at(port: str, **settings: Any) -> Any:
    """Its driver of a serial port."""
    target = Target("board")
    RawSerialPort(target, None, port=port, speed=9600)
    driver = SerialDriver(target, None, **settings)
    target.activate(driver)
    return driver


def microbit(folder: Path) -> Any:
    """A micro:bit in QEMU, at its prompt."""
    (folder / "microbit.yaml").write_text(MICROBIT)
    driver = Environment(str(folder / "microbit.yaml")).get_target("main").get_driver("QEMUDriver")
    driver.on()
    driver.expect(">>> ", timeout=5)
    return driver


def named(*words: str) -> list[str]:
    """Drivers, resources and settings of a serial port with one of these words in their names."""
    settings = [*SerialDriver.__init__.__annotations__, *vars(SerialDriver)]
    names = [*target_factory.drivers, *target_factory.resources, *settings]
    return [name for name in names if any(word in name.lower() for word in words)]


def test_port(record_property: Cell) -> None:
    driver = at(os.environ["TRIAL_PORT"])
    driver.sendline("print(6 * 7)")
    driver.expect("42", timeout=5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = Target("far")
        NetworkSerialPort(
            target, None, host="127.0.0.1", port=server.getsockname()[1], protocol="raw", speed=9600
        )
        far = SerialDriver(target, None)
        target.activate(far)
        server.accept()[0].sendall(b"far away")
        far.expect("far away", timeout=5)
    record_property("cell", "yes, also over TCP")


def test_pty(record_property: Cell) -> None:
    assert not named("pty", "pseudo", "pair")
    record_property("cell", "no")


def test_board(record_property: Cell) -> None:
    assert not named("micropython", "emulat", "simulat")
    record_property("cell", "no")


def test_qemu(record_property: Cell, tmp_path: Path) -> None:
    driver = microbit(tmp_path)
    driver.write(b"print(6 * 7)\r")
    driver.expect("42\r\n", timeout=5)
    driver.off()
    record_property("cell", "yes (a micro:bit at its prompt)")


def test_faults(record_property: Cell) -> None:
    assert not named("fault", "drop", "corrupt", "noise", "unplug")
    record_property("cell", "no")


def test_pace(record_property: Cell) -> None:
    near, far = os.openpty()
    reader = threading.Thread(target=lambda: os.read(near, 1000), daemon=True)
    reader.start()
    driver = at(os.ttyname(far), txdelay=0.005, txchunk=10)
    began = time.monotonic()
    driver.write(bytes(1000))
    assert time.monotonic() - began > 0.5
    record_property("cell", "pauses when it sends (`txdelay`)")


def test_power(record_property: Cell, tmp_path: Path) -> None:
    driver = microbit(tmp_path)
    driver.cycle()
    driver.expect(">>> ", timeout=5)
    driver.off()
    target = Target("real")
    switch = ExternalPowerDriver(target, None, cmd_on=f"touch {tmp_path}/on", cmd_off=f"touch {tmp_path}/off")
    target.activate(switch)
    switch.off()
    assert (tmp_path / "off").exists()
    record_property("cell", "yes: QEMU's, and any switch that has a command")


def test_record(record_property: Cell, tmp_path: Path) -> None:
    ConsoleLoggingReporter.start(str(tmp_path))
    driver = at(os.environ["TRIAL_PORT"])
    driver.sendline("print(6 * 7)")
    driver.expect("42", timeout=5)
    ConsoleLoggingReporter.stop()
    (log,) = tmp_path.iterdir()
    assert b"42" in log.read_bytes()
    record_property("cell", "what the board prints (`--lg-log`)")


def test_replay(record_property: Cell) -> None:
    assert not named("replay", "playback")
    record_property("cell", "no")


def test_pins(record_property: Cell, tmp_path: Path) -> None:
    file = tmp_path / "gpio"
    file.write_text("0\n")
    target = Target("board")
    output = FileDigitalOutputDriver(target, None, filepath=str(file))
    target.activate(output)
    output.set(True)
    assert output.get()
    assert file.read_text() == "1\n"
    assert not named("digitalinput", "analog")
    record_property("cell", "sets digital outputs of the bench")
