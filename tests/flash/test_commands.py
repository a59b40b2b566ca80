"""`boardtalk flash` as people and programs use it, beside a gateway that has the port."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from boardtalk.flash import detect
from boardtalk.hil.gateway import GatewayProcess
from boardtalk.hil.loaders.esp import MAC, EspBoard
from boardtalk.sdk.options import me
from tests.flash.bench import C3, Bench, audit

CONF = """\
log_level = warning
broker {{
    port = 0
}}
module iot_bridge {{
    discover = no
}}
board rover {{
    port = {port}
}}
"""


async def started(*words: str | Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "boardtalk", "flash", *map(str, words)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def flash(*words: str | Path, rc: int = 0) -> str:
    """Run a command; what it says."""
    process = await started(*words)
    said = (await process.communicate())[0].decode()
    assert process.returncode == rc, said
    return said


async def test_a_port_that_the_gateway_has_is_lent_and_taken_back(bench: Bench) -> None:
    image = bench.image(20_000)
    bench.state.mkdir()
    async with EspBoard("esp32c3") as board, GatewayProcess(bench.state, CONF.format(port=board.port)):
        async with asyncio.timeout(15):
            while not await _holds(board.port):
                await asyncio.sleep(0.05)
        words = ("--board", C3, "--image", image, "--wait", "0")
        said = await flash("write", "--port", board.port, *words, "--state", bench.folder / "other", rc=1)
        assert "port-busy" in said
        said = await flash("write", "--port", board.port, *words, "--state", bench.state)
        assert "done" in said
        said = await flash("verify", "--port", "rover", *words[:-2], "--state", bench.state)
        assert "bytes are on it" in said
        said = await flash("verify", "--port", "rovr", *words[:-2], "--state", bench.state, rc=1)
        assert "there is no board 'rovr'" in said
        said = await flash(
            "erase", "--port", "rover", "--board", "esp32", "--yes", "--state", bench.state, rc=1
        )
        assert "wrong-chip" in said
        digest = sha256(image.read_bytes()).hexdigest()
        end = f"{MAC.hex(':')} at {board.port}"
        wrote, erased = ("flash write", board.port), ("flash erase", "rover")
        rows = [
            ((what, target), result.partition(": rover: ")[0])
            for who, what, target, result in audit(bench.state)
            if who == me()
        ]
        assert rows == [
            (wrote, f"{C3} at {board.port}, {image.name} sha256 {digest}: begins"),
            (wrote, f"{C3} {end}, sha256 {digest}: done, {image.stat().st_size} bytes written"),
            (erased, "esp32 at rover: begins"),
            (erased, f"esp32 {end}: FAILED (wrong-chip)"),
        ]
        async with asyncio.timeout(15):
            while not await _holds(board.port):
                await asyncio.sleep(0.05)


async def _holds(port: str) -> bool:
    """Whether some process has locked the port."""
    process = await asyncio.create_subprocess_exec("flock", "--exclusive", "--nonblock", port, "true")
    return await process.wait() != 0


async def test_programs_get_an_object_for_each_event(bench: Bench) -> None:
    async with EspBoard("esp32c3") as board:
        said = await flash(
            "write", "--port", board.port, "--board", C3, "--image", bench.image(20_000), "--wait", "0",
            "--json", "--state", bench.state,
        )  # fmt: skip
        events = [json.loads(line) for line in said.splitlines()]
        assert [each["step"] for each in events if each["event"] == "step"] == [
            "check", "loader", "match", "write", "verify",
        ]  # fmt: skip
        assert (events[-1]["event"], events[-1]["ok"], events[-1]["code"]) == ("ended", True, None)


async def test_ctrl_c_leaves_a_board_that_the_same_command_finishes(bench: Bench) -> None:
    image = bench.image()
    async with EspBoard("esp32c3") as board:
        board.flash.faults.erase_s = 0.5
        words = ("write", "--port", board.port, "--board", C3, "--image", image, "--state", bench.state)
        process = await started(*words)
        while board.flash.written == 0 and process.returncode is None:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = (await process.communicate())[0].decode()
        assert process.returncode == 130, said
        assert "the same command goes on from here" in said
        assert "the board does not start as it is" in said
        board.flash.faults.erase_s = 0
        await flash(*words, "--wait", "0")
        assert bytes(board.flash)[: image.stat().st_size] == image.read_bytes()


async def test_a_killed_flasher_leaves_no_worker_and_the_same_command_goes_on(bench: Bench) -> None:
    image = bench.image()
    async with EspBoard("esp32c3") as board:
        board.flash.faults.erase_s = 0.5
        words = ("write", "--port", board.port, "--board", C3, "--image", image, "--state", bench.state)
        process = await started(*words)
        while board.flash.written <= 65536 and process.returncode is None:
            await asyncio.sleep(0.01)
        process.kill()
        await process.wait()
        board.flash.faults.erase_s = 0
        said = await flash(*words, "--wait", "0")
        assert "goes on with a write that did not end" in said
        assert bytes(board.flash)[: image.stat().st_size] == image.read_bytes()


async def test_a_digest_that_is_not_the_promised_one(bench: Bench) -> None:
    image = bench.image(20_000)
    said = await flash(
        "plan", "--port", "/dev/null", "--board", C3, "--image", image, "--sha256", "ab" * 32, rc=2
    )
    assert f"not {'ab' * 32}" in said


async def test_without_an_image_it_is_said_where_to_get_one(bench: Bench) -> None:
    said = await flash("write", "--port", "/dev/null", "--board", "pico", rc=2)
    assert "download one from https://micropython.org/download/RPI_PICO/, then --image FILE" in said


async def test_a_port_of_which_nothing_is_known(bench: Bench) -> None:
    said = await flash("write", "--port", "/dev/null", "--image", bench.image(20_000), rc=2)
    assert "which board is it? it is no USB device" in said
    assert f"put a definition into {bench.folder}/config/boardtalk/boards" in said


class _Port:
    """A mock: what pyserial tells of a port that is not here."""

    def __init__(self, device: str, vid: int, pid: int) -> None:
        self.device, self.vid, self.pid, self.description = device, vid, pid, "a board"
        self.serial_number = None


def test_ids_tell_what_may_be_plugged_in(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    from boardtalk import boards

    ports = [
        _Port("/dev/ttyACM0", 0x2E8A, 5),
        _Port("/dev/ttyUSB0", 0x1A86, 0x7523),
        _Port("/dev/ttyACM1", 1, 2),
    ]
    monkeypatch.setattr(detect.list_ports, "comports", lambda: ports)
    found = {each.port: each for each in detect.plugged(boards.definitions())}
    assert [each.id for each in found["/dev/ttyACM0"].boards] == ["pico", "pico-w", "pico2"]
    assert not found["/dev/ttyACM0"].bridge
    assert [each.id for each in found["/dev/ttyUSB0"].boards] == ["esp32", "esp32-c3", "esp32-s3", "esp8266"]
    assert found["/dev/ttyUSB0"].bridge
    assert (found["/dev/ttyACM1"].boards, found["/dev/ttyACM1"].usb) == ([], "0001:0002")
