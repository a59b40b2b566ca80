"""From a board with MicroPython to one that answers in the chat, with the real MicroPython and mpremote."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from boardtalk.flash import journal, micropython
from boardtalk.flash.errors import Code
from boardtalk.flash.events import Ended
from boardtalk.flash.job import Job
from boardtalk.flash.provision import ClientJob, Provision
from boardtalk.hil.gateway import GatewayProcess
from boardtalk.hil.loaders.uf2 import CHIPS, Uf2Drive
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.modules.iot_bridge.ota.keys import board_key
from boardtalk.modules.iot_bridge.provision import compiler, layout, prompt
from boardtalk.modules.iot_bridge.provision.prompt import Prompt
from boardtalk.sdk.provision import Order, ProvisionError
from tests.campaigns.figures import note
from tests.flash.bench import Bench, audit
from tests.flash.provisioning import (
    boardtalk,
    empty,
    ended,
    program,
    provision,
    right,
    started,
)
from tests.flash.test_drives import uf2
from tests.hil.flashing import payload
from tests.ota.rig import CONF

IMPATIENT_S = 3.0
"""After which a board counts as without power, where it will be: else all of these tests wait for 15 s."""


@pytest.fixture
def robot(tmp_path: Path) -> Path:
    return program(tmp_path / "robot")


def order(bench: Bench, board: MicroPythonBoard, robot: Path, **more: object) -> Order:
    return Order(port=board.port, state=bench.state, robot=(robot,), **more)  # type: ignore[arg-type]


# All goes well --------------------------------------------------------------------------------------


async def test_an_empty_board_answers_in_the_chat(bench: Bench, robot: Path) -> None:
    bench.state.mkdir()
    async with empty() as board, GatewayProcess(bench.state, CONF.format(port=board.port)) as gateway:
        words = ("flash", "client", "--port", board.port, "--robot", robot, "--state", bench.state)
        said = await boardtalk(*words, "--name", "lamp")
        assert "the client compiled, bytecode 6" in said
        assert f"{board.uid}  done" in said
        assert "lamp boardtalk" in said
        assert right(board, robot)
        assert board.files.read("ota.key").decode() == board_key(bench.state, board.uid).hex()
        await gateway.online("lamp", "alice")
        said = await boardtalk("chat", "lamp", "battery", "--user", "alice", "--state", bench.state)
        assert "8.2 V" in said
        begins, done = [row[3] for row in audit(bench.state) if row[1:3] == ("flash client", board.port)]
        assert begins == f"client and program, at {board.port}: begins"
        assert re.match(rf"{board.uid} at {board.port}, sha256 \w{{64}}: done, \d+ bytes written; ", done)


async def test_what_is_there_already_is_not_copied_again(bench: Bench, robot: Path) -> None:
    async with empty() as board:
        first = ended(await provision(order(bench, board, robot)))
        assert first.written == first.total > 20_000
        assert (first.firmware, first.id) == ("MicroPython v1.29.0", board.uid)
        assert first.program.startswith("lamp ")
        assert len(first.dictionary) == 16
        assert ended(await provision(order(bench, board, robot))).written == 0
        program(robot, "1.10")
        second = ended(await provision(order(bench, board, robot)))
        assert second.written == len("VERSION = '1.10'\n")
        assert "1.10" in second.program
        assert right(board, robot)


async def test_a_module_that_the_client_no_longer_has_goes_and_a_robots_files_stay(
    bench: Bench, robot: Path
) -> None:
    async with empty() as board:
        await board.power_cut()
        board.files.write("boardtalk/client.py", b"1 / 0  # of an older client, and goes before client.mpy\n")
        board.files.write("calibration.txt", b"42")
        await board.power_on()
        ended(await provision(order(bench, board, robot)))
        assert "boardtalk/client.py" not in board.files.names()
        assert board.files.read("calibration.txt") == b"42"


async def test_the_client_alone_leaves_the_program_as_it_is(bench: Bench, robot: Path) -> None:
    async with empty() as board:
        told = ended(await provision(order(bench, board, robot), robot=()))
        assert "it has no program yet" in told.note
        assert told.program == ""
        ended(await provision(order(bench, board, robot)))
        again = ended(await provision(order(bench, board, robot), robot=()))
        assert again.program.startswith("lamp ")
        assert right(board, robot)


@pytest.mark.soak  # in the gate an ESP goes the same way, without a mock
async def test_firmware_client_and_program_by_one_command(
    bench: Bench, robot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drive is one emulator and MicroPython another, so here is a mock: that this is one USB device."""
    image = bench.folder / "firmware.uf2"
    image.write_bytes(uf2(payload(20_000), CHIPS["rp2040"].family))
    async with Uf2Drive("rp2040") as drive, empty() as board:

        class Port:
            device, vid, pid = board.port, 0x2E8A, 5

        monkeypatch.setattr(micropython.list_ports, "comports", lambda: [Port])
        first = bench.job("write", str(drive.folder), image, "pico")
        told = await after(first, order(bench, board, robot, platform="rp2"))
        assert told.program.startswith("lamp ")
        assert (told.board, told.firmware) == ("pico", "MicroPython v1.29.0")
        assert right(board, robot)


async def after(first: Job, second: Order) -> Ended:
    """Do both."""
    told = await Provision(ClientJob(second, first, 5.0), asyncio.Queue()).run()
    assert told.ok, told
    return told


# Whatever breaks off --------------------------------------------------------------------------------


async def cut_and_go_on(bench: Bench, robot: Path, after: int) -> None:
    """Cut the power after so many bytes of flash; then the same order."""
    async with empty() as board:
        board.power_cut_after(after)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(prompt, "SILENT_S", IMPATIENT_S)
            told = await provision(order(bench, board, robot))
        assert not board.running, "the power was not cut"
        assert told.end.code in {Code.LINK, Code.NO_LOADER, Code.PROGRAM, Code.VERIFY}, told.end
        assert "the same command" in told.end.cure or "MicroPython" in told.end.reason
        await board.power_on()
        again = await provision(order(bench, board, robot))
        assert ended(again).program.startswith("lamp ")
        assert right(board, robot), board.files.names()
        assert ended(await provision(order(bench, board, robot))).written == 0


async def flash_bytes(bench: Bench, robot: Path) -> int:
    async with empty() as board:
        before = board.flash_written
        ended(await provision(order(bench, board, robot)))
        return board.flash_written - before


async def test_a_power_cut_leaves_a_board_that_the_same_command_finishes(bench: Bench, robot: Path) -> None:
    await cut_and_go_on(bench, robot, 60_000)  # half of what is written


SPARED_BYTES = 8192
"""At the end: another time it may write so much less, since the file system goes its own ways."""


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("batch", range(10))
async def test_power_cuts_all_along(bench: Bench, robot: Path, batch: int) -> None:
    whole = await flash_bytes(bench, robot)
    points = [500 + (whole - SPARED_BYTES) * number // 50 for number in range(batch, 50, 10)]
    for after in points:
        await cut_and_go_on(bench, robot, after)
    note(
        "FLASH",
        f"{len(points)} power cuts in the {whole} bytes of flash that a client takes",
        "all finished by the same command",
    )


async def test_a_killed_command_leaves_nobody_at_the_port_and_the_same_command_goes_on(
    bench: Bench, robot: Path
) -> None:
    program(robot, filler=60_000)
    async with empty() as board:
        words = ("flash", "client", "--port", board.port, "--robot", robot, "--state", bench.state)
        process = await started(*words)
        while board.flash_written < 40_000:
            await asyncio.sleep(0.01)
        process.kill()
        await process.communicate()
        said = await boardtalk(*words)
        assert "goes on with what did not end" in said
        assert right(board, robot)
        copied = int(said.split(" plan: ")[2].split()[0])
        steps = [entry.step for entry in journal.Journal(bench.state / "flash").entries()]
        assert steps.count("begun") == 2
        assert steps[-1] == "done"
        assert copied > 60_000, "what was staged is looked at by mpremote, file by file"


async def test_ctrl_c_ends_it_and_what_the_board_had_runs_on(bench: Bench, robot: Path) -> None:
    async with empty() as board:
        ended(await provision(order(bench, board, robot)))
        program(robot, "2.0", filler=50_000)
        words = ("flash", "client", "--port", board.port, "--robot", robot, "--state", bench.state)
        process = await started(*words)
        before = board.flash_written
        while board.flash_written < before + 20_000:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = (await process.communicate())[0].decode()
        assert process.returncode == 130, said
        assert "the same command goes on from here" in said
        assert board.files.read("part.py") == b"VERSION = '1.0'\n"
        await boardtalk(*words)
        assert right(board, robot)


# What is refused ------------------------------------------------------------------------------------


async def untouched(bench: Bench, robot: Path, code: Code, words: str, **more: object) -> None:
    async with empty() as board:
        told = await provision(order(bench, board, robot), **more)
        assert told.end.code is code, told.end
        assert words in f"{told.end.reason}; {told.end.cure}"
        assert board.files.names() == []


async def test_another_board_than_was_said(bench: Bench, robot: Path) -> None:
    await untouched(bench, robot, Code.WRONG_CHIP, "for rp2 runs there, not for esp32", platform="esp32")


async def test_a_program_with_files_of_the_client_or_the_loader(bench: Bench, robot: Path) -> None:
    (robot / "boardtalk").mkdir()
    (robot / "boardtalk" / "client.py").write_text("")
    await untouched(bench, robot, Code.BAD_IMAGE, "the client comes by itself")


async def test_a_program_that_does_not_fit_on_the_flash(bench: Bench, robot: Path) -> None:
    program(robot, filler=1 << 20)
    await untouched(bench, robot, Code.UNSUPPORTED, "kB free")


async def test_a_port_that_another_program_has(bench: Bench, robot: Path) -> None:
    async with empty() as board:
        holder = os.open(board.port, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(holder, fcntl.LOCK_EX)
        told = await provision(order(bench, board, robot))
        os.close(holder)
        assert told.end.code is Code.PORT_BUSY
        ended(await provision(order(bench, board, robot)))


async def test_a_port_that_is_not_there(bench: Bench, robot: Path) -> None:
    said = await boardtalk(
        "flash", "client", "--port", "/dev/ttyNONE", "--robot", robot, "--state", bench.state, rc=1
    )
    assert "port-missing" in said


async def test_a_name_that_another_board_has(bench: Bench, robot: Path) -> None:
    bench.state.mkdir()
    async with (
        MicroPythonBoard("rover") as other,
        empty() as board,
        GatewayProcess(bench.state, CONF.format(port=other.port)) as gateway,
    ):
        await gateway.online("lamp", "alice")
        told = await provision(order(bench, board, robot, name="lamp"))
        assert told.end.code is Code.NAME
        assert f"lamp is the address of board {other.uid}, and this is board {board.uid}" in told.end.reason
        told = await provision(order(bench, board, robot, name="Lämp"))
        assert told.end.code is Code.NAME
        assert board.files.names() == []


async def test_a_program_that_ends_is_told_with_what_it_printed(bench: Bench, robot: Path) -> None:
    (robot / "main.py").write_text("1 / 0\n")
    async with empty() as board:
        told = await provision(order(bench, board, robot))
        assert told.end.code is Code.PROGRAM
        assert "ZeroDivisionError" in told.end.reason
        program(robot)
        ended(await provision(order(bench, board, robot)))


async def test_without_a_compiler_sources_go_on_if_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await compiler.compiled({"a.py": b"1\n"}, 5) == {}, "no bytecode for another version"
    board = layout.Found(
        name="micropython", version=(1, 27, 0), bytecode=5, platform="rp2", uid="c0ffee", wide=False,
        memory=40_000, room=(4096, 200), loader=False, program=False, settings=False, umqtt=True,
    )  # fmt: skip
    made = layout.Layout()
    await layout.client(made, board, network=False)
    assert "/boardtalk/client.py" in made.files
    assert "sources" in made.said
    with pytest.raises(ProvisionError, match=r"35 kB free, 36 kB are needed.*boardtalk\[mpy\]"):
        await layout.client(made, replace(board, memory=36_000), network=False)


# A board that can be updated ------------------------------------------------------------------------


async def test_a_loader_that_is_there_stays_and_the_program_goes_into_its_slot(
    bench: Bench, robot: Path
) -> None:
    async with empty() as board:
        told = ended(await provision(order(bench, board, robot), loader=True))
        assert told.program.startswith("lamp ")
        loader = board.files.read("main.py")
        assert b"slots.run" in loader
        program(robot, "2.0")
        ended(await provision(order(bench, board, robot)))  # nobody says that it has one
        assert board.files.read("main.py") == loader
        assert board.files.read("a/part.py") == b"VERSION = '2.0'\n"
        program(robot, "3.0")
        said = await boardtalk("push", board.port, robot / "part.py", robot / "main.py")
        assert "in slot a" in said
        assert board.files.read("main.py") == loader
        assert board.files.read("a/part.py") == b"VERSION = '3.0'\n"
        stray = robot.parent / "slots.py"
        stray.write_text("")
        said = await boardtalk("push", board.port, stray, rc=2)
        assert "the loader on the board has that name" in said
        await Prompt(board.port, asyncio.Event()).run("import slots\nslots.begin_trial(9)\n")
        said = await boardtalk("push", board.port, robot / "part.py", rc=2)
        assert "a release is on trial there" in said


# By the broker --------------------------------------------------------------------------------------

SECRET = "a secret of the workshop"


async def test_a_board_by_the_broker_and_its_secrets_are_nowhere_to_be_seen(
    bench: Bench, robot: Path
) -> None:
    bench.state.mkdir()
    async with empty() as board, GatewayProcess(bench.state, CONF.format(port="mqtt")):
        words = (
            "flash", "client", "--port", board.port, "--robot", robot, "--name", "lamp", "--mqtt",
            "--host", "127.0.0.1", "--wifi", "workshop", "--json", "--state", bench.state,
        )  # fmt: skip
        process = await started(*words, BOARDTALK_WIFI_PASSWORD=SECRET)
        seen: set[bytes] = set()
        while process.returncode is None:
            seen |= arguments()
            await asyncio.sleep(0.005)
        said = (await process.communicate())[0].decode()
        assert process.returncode == 0, said
        last = json.loads(said.splitlines()[-1])
        assert (last["ok"], len(last["dictionary"])) == (True, 16), last
        settings = json.loads(board.files.read("boardtalk.json"))
        assert settings["wifi"] == {"ssid": "workshop", "password": SECRET}
        assert any(b"mpremote" in each for each in seen), "nothing was watched"
        secrets = (SECRET, settings["password"], board.files.read("ota.key").decode())
        for secret in secrets:
            assert secret not in said
            assert not any(secret.encode() in each for each in seen)
        for path in (bench.state / "flash" / "journal.jsonl", *bench.state.glob("*.log")):
            assert not any(secret in path.read_text() for secret in secrets), path
        said = await boardtalk(*words, rc=2)
        assert "the password of workshop can't be asked for" in said


async def test_the_password_is_asked_for_and_not_shown(bench: Bench) -> None:
    master, slave = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "boardtalk", "flash", "client", "--port", "/dev/ttyNONE", "--name", "lamp"),
        *("--mqtt", "--wifi", "workshop", "--state", bench.state),
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # Linux's way to say that nobody has the other end any more
        while data := await asyncio.to_thread(os.read, master, 1000):
            shown += data
            if data.endswith(b"not shown): "):
                os.write(master, SECRET.encode() + b"\n")
    os.close(master)
    assert await process.wait() == 1
    assert b"Password of the Wi-Fi workshop" in shown
    assert b"port-missing" in shown
    assert SECRET.encode() not in shown


def arguments() -> set[bytes]:
    """The command lines of all processes of this machine."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.add((process / "cmdline").read_bytes())
        except OSError:
            continue  # it has ended
    return found


async def test_a_board_that_the_gateway_does_not_expect_gets_no_login(bench: Bench, robot: Path) -> None:
    bench.state.mkdir()
    async with empty() as board, GatewayProcess(bench.state, CONF.format(port="mqtt")):
        said = await boardtalk(
            "flash", "client", "--port", board.port, "--robot", robot, "--name", "arm", "--mqtt",
            "--state", bench.state, rc=1,
        )  # fmt: skip
        assert "its configuration needs `board arm { port = mqtt }`" in said
        assert not (bench.state / "secrets" / "boards.json").exists()
        assert board.files.names() == []
