"""`/flash PORT`: a board without an address, from its port to a robot; by real esptool and real mpremote."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from boardtalk import boards
from boardtalk.hil.loaders.esp import EspBoard
from boardtalk.modules.flash import fresh
from boardtalk.modules.flash.requests import read
from boardtalk.modules.flash.workers import Device, Row
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import ask
from boardtalk.sdk import Refused, State
from tests.flash.bench import C3, audit
from tests.flash.provisioning import program
from tests.flash.talk import Town
from tests.flash.test_from_chat import begins
from tests.flash.whole_esp import WholeEsp
from tests.hil.flashing import esp_image

KIND = "my-c3"
BRIDGE = (0x10C4, 0xEA60)
CHIP_ID = 5
LISTED = """\
import json
from pathlib import Path
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

def comports():
    found = []
    for device, vid, pid, serial in json.loads(Path({path!r}).read_text()):
        port = ListPortInfo(device)
        port.vid, port.pid, port.serial_number, port.description = vid, pid, serial, "a bridge"
        found.append(port)
    return found

list_ports.comports = comports
"""
"""A mock: the USB devices that the kernel would list; it runs in the processes of the gateway."""


class Place:
    """A gateway that may flash one kind of new boards, and what is plugged in there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._list = folder / "plugged.json"
        self.plug()
        (folder / "sitecustomize.py").write_text(LISTED.format(path=str(self._list)))
        definitions = folder / "config/boardtalk/boards"
        definitions.mkdir(parents=True)
        usb = '\n[[usb]]\nid = "10c4:ea60"\nmode = "both"\nbridge = true\n'
        (definitions / f"{KIND}.toml").write_text(Path(boards.definition(C3).path).read_text() + usb)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        monkeypatch.setenv("PYTHONPATH", str(folder))
        images = folder / "images" / KIND
        images.mkdir(parents=True)
        self.image = esp_image(CHIP_ID, 200_000)
        (images / "new-1.27.bin").write_bytes(self.image)
        (folder / "releases" / "lamps").mkdir(parents=True)
        program(folder / "releases" / "lamps" / "1.0")

    def plug(self, *ports: str, serial: str = "0001") -> None:
        """Have these ports, and no others, on the USB."""
        self._list.write_text(json.dumps([[port, *BRIDGE, serial] for port in ports]))

    async def waits(self, town: Town, uid: str) -> None:
        """Wait until the gateway has met a board that it has no address for."""
        async with asyncio.timeout(40):
            while True:
                answer = await ask(town.gateway.folder, api.ListBoards(re=1))
                assert isinstance(answer, api.Boards)
                if any(each.uid == uid and each.state is api.BoardState.WAITING for each in answer.boards):
                    return
                await asyncio.sleep(0.1)

    @asynccontextmanager
    async def town(self, *, new: str = KIND, more: str = "", **robots: str) -> AsyncIterator[Town]:
        async with Town(self.folder, more, robots, new=new) as town:
            yield town


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


@pytest.mark.soak
async def test_an_empty_board_gets_firmware_client_and_program_and_then_its_address(place: Place) -> None:
    async with WholeEsp() as esp, AsyncExitStack() as stack:
        place.plug(esp.port)
        town = await stack.enter_async_context(place.town())
        [ana, ben] = await stack.enter_async_context(town.people("ana", "ben"))
        told, confirm = await ana.plan(f"/flash {esp.port} plan {KIND}/new-1.27.bin with lamps/1.0")
        for words in (
            f"{esp.port}: {KIND}, a bridge",
            "sha256 ",
            "client and program lamps/1.0",
            "no backup",
        ):
            assert words in told
        assert "stops" not in told, "nobody is there who could be stopped"
        assert esp.events.named("sync") == [], "a plan touches nothing"

        name = ana.begin(confirm)
        await ana.until(
            lambda: any(each.message.body.endswith(": wait") for each in ana.said(name)), "MicroPython's turn"
        )
        await esp.power_on(loader=False)  # the board of this test has no control lines
        state, text = await ana.over(name)
        assert state is State.DONE, text
        assert begins(esp, place.image)
        assert "done: unknown → lamp " in text
        [adopt] = [word for word in text.split("`") if word.startswith("/adopt ")]

        # Who may flash it may not say what it is called.
        await place.waits(town, adopt.split()[1])
        adopt = adopt.replace("NAME", "desk")
        assert (await ana.say(adopt))[0] is State.REJECTED
        assert (await ben.say(adopt))[0] is State.DONE
        assert (await ben.say("battery", to="desk"))[0] is State.DONE
        _, told = await ben.say(f"/flash {esp.port} plan")
        assert "is the port of a robot: it is flashed by its address" in told
        rows = [row[:4] for row in audit(town.gateway.folder) if row[1] == "/flash write"]
        assert [row[:3] for row in rows] == [("ana", "/flash write", esp.port)] * 2
        assert "program lamps/1.0 digest " in rows[0][3]


def test_a_port_is_named_as_it_is_listed_and_a_kind_must_be_allowed_and_fit_its_id() -> None:
    there = Device(port="/dev/ttyUSB0", usb="10c4:ea60", boards=["esp32", "esp32-c3"], name="", serial="")
    rows = [
        Row(address="rover", uid="1", port="/dev/../dev/ttyACM0", firmware="", state="offline"),
        Row(address="", uid="2", port="/dev/ttyACM1", firmware="", state="waiting"),
        Row(address="", uid="", port="/dev/ttyUSB0", firmware="", state="offline"),
        Row(address="arm", uid="3", port="mqtt", firmware="", state="ready"),
    ]
    plugged = [there, *(replace(there, port=f"/dev/ttyACM{number}") for number in range(2))]
    assert fresh.device("/dev/ttyUSB0", plugged, rows) is there
    for port, why in {
        "/dev/null": "nothing is plugged in at /dev/null",
        "/dev/../dev/ttyUSB0": "nothing is plugged in at",
        "/dev/ttyACM0": "is the port of a robot",
        "/dev/ttyACM1": "runs the client already: `/adopt 2 NAME`",
    }.items():
        with pytest.raises(Refused, match=why):
            fresh.device(port, plugged, rows)
    assert fresh.kind("esp32/new.bin", there, ("esp32", "pico")) == "esp32"
    assert fresh.kind("new.bin", there, ("esp32", "pico")) == fresh.kind("", there, ("esp32",)) == "esp32"
    for name, allowed, why in (
        ("new.bin", (), "`new = …` in `module flash` allows"),
        ("esp32-c3/new.bin", ("esp32",), "is no esp32-c3 that may be flashed"),
        ("pico/new.bin", ("esp32", "pico"), "is no pico that may be flashed"),
        ("../esp32/new.bin", ("esp32",), "is no ../esp32 that may be flashed"),
        ("new.bin", ("esp32", "esp32-c3"), "which kind is it"),
    ):
        with pytest.raises(Refused, match=why):
            fresh.kind(name, there, allowed)


def test_a_port_keeps_its_case_and_only_firmware_has_a_program_with_it() -> None:
    request = read("/flash /dev/ttyUSB0 plan esp32/New.bin with lamps/1.0 erase")
    assert request == ("flash", "plan", "/dev/ttyUSB0", "esp32/New.bin", True, False, "lamps/1.0")
    for text in (
        "/flash /dev/ttyUSB0 plan esp32/New.bin with",
        "/flash /dev/ttyUSB0 plan with a/1 with a/2",
        "/flash rover plan New.bin with lamps/1.0",
        "/ota /dev/ttyUSB0 plan 1.0",
    ):
        with pytest.raises(Refused):
            read(text)


async def test_only_who_is_named_and_may_flash_all_robots_may_flash_new_ones(place: Place) -> None:
    grants = (
        "policy {{\n    roles = no\n}}\n"
        "grant few {{\n    users = {some}\n    robots = l*, my-*, new*\n    may = flash\n}}\n"
        "grant many {{\n    users = {all}\n    robots = *\n    may = flash\n}}\n"
    )
    async with EspBoard("esp32c3") as board:
        place.plug(board.port)
        plan = f"/flash {board.port} plan {KIND}/new-1.27.bin"
        async with place.town() as town, town.people("ana", "eve", "tom") as [ana, eve, tom]:
            assert "one after the other" in (await ana.say(f"/flash {board.port},lamp plan"))[1]
            _, confirm = await ana.plan(plan)
            for person in (eve, tom):  # a viewer who is named, and an admin who is not
                for text in (plan, confirm, plan.replace("plan", "cancel").rsplit(" ", 1)[0]):
                    state, told = await person.say(text)
                    assert (state, "may not " in told) == (State.REJECTED, True), told
                assert (await person.shown())["new"] is None
            assert (await ana.shown())["new"] == {
                "images": {KIND: ["new-1.27.bin"]},
                "releases": {"lamps": ["1.0"]},
            }
            assert ("eve", "/flash plan", board.port, "denied: not allowed") in audit(town.gateway.folder)
        async with (
            place.town(more=grants.format(some="ana", all="eve")) as town,
            town.people("ana", "eve") as [ana, eve],
        ):
            assert "a grant for `*`" in (await ana.say(plan))[1]
            (place.folder / "secret" / "1").mkdir(parents=True)
            for more, why in (("with ../secret/1", "no program '..'"), ("with lamps/..", "no release '..'")):
                assert why in (await eve.say(f"{plan} {more}"))[1]
            _, confirm = await eve.plan(plan)
            place.plug(board.port, serial="0002")
            assert "something else is at" in (await eve.say(confirm))[1]
            _, confirm = await eve.plan(plan)
            board.flash.faults.erase_s = 0.5
            name = eve.begin(confirm)
            await eve.sees(name, "write")
            assert [line["robot"] for run in (await eve.shown())["runs"] for line in run["lines"]] == [
                board.port
            ]
            state, told = await eve.say(f"/flash {board.port} cancel")
            assert (state, "to be cancelled" in told) == (State.DONE, True)
            assert (await eve.over(name))[0] is State.CANCELLED
