"""A serial port is opened as carefully as a board that resets easily needs, and noticed when it comes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import termios
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from boardtalk.modules.iot_bridge.errors import PortBusy
from boardtalk.modules.iot_bridge.transports import discovery, hotplug
from boardtalk.modules.iot_bridge.transports.serial import SerialPort

CONTROL_LINES = {termios.TIOCMSET, termios.TIOCMBIS, termios.TIOCMBIC}
SOON_S = 1.0


@pytest.fixture
def pty() -> Iterator[str]:
    master, slave = os.openpty()
    tty.setraw(slave)
    settings = termios.tcgetattr(slave)
    settings[2] |= termios.HUPCL  # as real ports have it
    termios.tcsetattr(slave, termios.TCSANOW, settings)
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


def hangs_up(path: str) -> bool:
    """Whether the last to close the port drops DTR, which resets some boards when it rises again."""
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        return bool(termios.tcgetattr(fd)[2] & termios.HUPCL)
    finally:
        os.close(fd)


async def test_dtr_and_rts_are_left_alone(pty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    ioctl = fcntl.ioctl
    monkeypatch.setattr(
        fcntl, "ioctl", lambda fd, request, *rest: asked.append(request) or ioctl(fd, request, *rest)
    )
    assert hangs_up(pty)
    async with SerialPort(pty) as port:
        port.write(b"hello")
        assert not hangs_up(pty)
    assert not hangs_up(pty)
    assert asked
    assert not CONTROL_LINES & set(asked)


async def test_a_port_belongs_to_one_program(pty: str) -> None:
    async with SerialPort(pty):
        with pytest.raises(PortBusy, match="another board of this gateway"):
            async with SerialPort(pty):
                pass
    async with SerialPort(pty):
        pass


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """A path under which udev will make a link, in folders that it makes too."""
    return tmp_path / "serial" / "by-id" / "usb-board"


async def test_a_port_that_appears_is_noticed_without_looking(told: Path, pty: str) -> None:
    waiting = asyncio.create_task(hotplug.appears(str(told)))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    told.parent.mkdir(parents=True)
    await asyncio.sleep(0.05)
    told.symlink_to("/dev/nosuch")  # udev is not done
    await asyncio.sleep(0.05)
    assert not waiting.done()
    told.unlink()
    told.symlink_to(pty)
    async with asyncio.timeout(SOON_S):
        await waiting


async def test_a_port_that_came_meanwhile_is_not_waited_for(told: Path, pty: str) -> None:
    told.parent.mkdir(parents=True)
    told.symlink_to(pty)
    async with asyncio.timeout(SOON_S):
        await hotplug.appears(str(told))


async def test_waiting_leaves_no_descriptor_behind(told: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(10):
        waiting = asyncio.create_task(hotplug.appears(str(told)))
        await asyncio.sleep(0.001)
        waiting.cancel()
        await asyncio.wait([waiting])
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_new_devices_are_listed_when_the_system_tells_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[object] = []
    monkeypatch.setattr(discovery, "DEVICES", tmp_path)
    monkeypatch.setattr(discovery, "LOOK_S", 60.0)
    monkeypatch.setattr(discovery, "find", lambda _: sorted(path.name for path in tmp_path.iterdir()))

    async def watch() -> None:
        async for ports in discovery.watch(()):
            listed[:] = ports

    watching = asyncio.create_task(watch())
    try:
        async with asyncio.timeout(SOON_S):
            for name in ("ttyACM0", "ttyUSB0"):
                (tmp_path / name).touch()
                while name not in listed:
                    await asyncio.sleep(0.01)
            (tmp_path / "ttyACM0").unlink()
            while listed != ["ttyUSB0"]:
                await asyncio.sleep(0.01)
    finally:
        watching.cancel()
        await asyncio.wait([watching])
