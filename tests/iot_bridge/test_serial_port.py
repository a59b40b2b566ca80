"""A serial port is opened as carefully as a board that resets easily needs, and noticed when it comes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
import termios
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from boardtalk.modules.iot_bridge.errors import PortBusy
from boardtalk.modules.iot_bridge.transports import discovery, hotplug, serial
from boardtalk.modules.iot_bridge.transports.serial import SerialPort

CONTROL_LINES = {termios.TIOCMSET, termios.TIOCMBIS, termios.TIOCMBIC}
SOON_S = 1.0
ORDINARY = ("setpriv", "--bounding-set=-sys_admin") if os.geteuid() == 0 else ()
"""An exclusive port is open to the superuser."""
PLAIN = "import os, sys; os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)"
"""A program that asks for no lock."""
KEEPER = """\
import fcntl, os, sys, termios
port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
fcntl.ioctl(port, termios.TIOCEXCL)
print("has it", flush=True)
input()
fcntl.ioctl(port, termios.TIOCNXCL)
"""
OURS = """\
import asyncio, sys
from boardtalk.modules.iot_bridge.transports.serial import SerialPort
asyncio.run(SerialPort(sys.argv[1]).__aenter__())
"""


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


async def test_a_program_that_asks_for_no_lock_is_kept_out_as_long_as_the_port_is_ours(
    pty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial, "PSEUDO_TERMINALS", ())
    async with SerialPort(pty):
        assert "busy" in await complaint_of(PLAIN, pty)
    assert not await complaint_of(PLAIN, pty)


async def test_a_port_that_another_program_has_for_itself_is_refused_with_its_name() -> None:
    master, slave = os.openpty()
    port = os.ttyname(slave)
    keeper = await program(KEEPER, port)
    assert keeper.stdout
    assert await keeper.stdout.readline() == b"has it\n"
    os.close(slave)  # else we have it open, too
    said = await complaint_of(OURS, port)
    await keeper.communicate(b"\n")
    os.close(master)
    assert f"PortBusy: {port}: in use by process {keeper.pid} (" in said
    assert "end it, or give this board another port" in said


async def program(code: str, port: str) -> asyncio.subprocess.Process:
    """An ordinary user's."""
    pipe = asyncio.subprocess.PIPE
    command = (*ORDINARY, sys.executable, "-c", code, port)
    return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)


async def complaint_of(code: str, port: str) -> str:
    _, said = await (await program(code, port)).communicate()
    return said.decode()


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
