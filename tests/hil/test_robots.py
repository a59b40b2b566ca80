"""The simulated robots behave like machines, and their programs run on emulated hardware as they are."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.modules.iot_bridge.frames import Outcome, Type
from tests.firmware.peer import Peer

EXAMPLES = Path(__file__).parents[2] / "firmware" / "examples"


async def test_the_rover_runs_into_a_post_and_can_go_back() -> None:
    async with EmulatedBoard("rover") as board, Peer(board.port) as peer:
        await peer.learn()
        await board.world(obstacles=[[40, 0, 10], [0, 60, 5]])
        outcome, reason = await peer.result(peer.command("forward", distance=60))
        assert (outcome, reason) == (Outcome.FAILED, b"RuntimeError: something is in the way")
        assert (await peer.do("position"))["x"] == pytest.approx(22, abs=0.2), "it is round, 8 cm"
        assert (await peer.do("back", distance=10))["x"] < 15


async def test_the_explorer_sees_what_is_in_front_until_it_turns_away() -> None:
    async with EmulatedBoard("explorer") as board, Peer(board.port) as peer:
        await peer.learn()
        assert await peer.do("distance") == {"distance": 400}
        await board.world(obstacles=[[60, 3, 10], [-20, 0, 5]], room=[-50, -50, 300, 250], noise_cm=0)
        assert await peer.do("distance") == {"distance": pytest.approx(60 - 91**0.5 - 8, abs=0.1)}
        near = await peer.do("approach", near=15, speed=50)
        assert near["distance"] == pytest.approx(15, abs=2)
        assert 0 < (await peer.do("search", room=200))["heading"] < 180
        assert (await peer.do("distance"))["distance"] >= 200


async def test_the_arm_reaches_places() -> None:
    async with EmulatedBoard("arm") as board, Peer(board.port) as peer:
        await peer.learn()
        there = await peer.do("reach", x=20, y=20, speed=100)
        assert (there["x"], there["y"]) == (pytest.approx(20, abs=1), pytest.approx(20, abs=1))
        there = await peer.do("turn", shoulder=90, elbow=0, speed=100)
        assert (there["x"], there["y"]) == (pytest.approx(0, abs=1), pytest.approx(35, abs=1))


async def test_what_is_out_of_reach_fails_and_moves_nothing() -> None:
    async with EmulatedBoard("arm") as board, Peer(board.port) as peer:
        await peer.learn()
        outcome, reason = await peer.result(peer.command("reach", x=40, y=40, speed=50))
        assert (outcome, reason) == (Outcome.FAILED, b"ValueError: that is out of reach")
        assert not [record for record in board.outputs if "shoulder" in record.state]


async def test_a_stopped_arm_stays_where_it_is() -> None:
    async with EmulatedBoard("arm") as board, Peer(board.port) as peer:
        await peer.learn()
        peer.command("turn", shoulder=0, elbow=90, speed=10)
        while not [record for record in board.outputs if record.state.get("shoulder", 90) < 88]:
            await peer.do("position")
        peer.stop(1)
        await board.until(held=True)
        held = await peer.do("position", epoch=1)
        assert await peer.do("position", epoch=1) == held
        assert held["y"] > 20, "it has hardly begun"


async def test_an_arm_that_is_held_says_so() -> None:
    async with EmulatedBoard("arm") as board, Peer(board.port) as peer:
        await peer.learn()
        await peer.do("position")
        await board.world(blocked=True)
        outcome, reason = await peer.result(peer.command("turn", shoulder=60, elbow=0, speed=100))
        assert (outcome, reason) == (Outcome.FAILED, b"RuntimeError: something is in the way")


async def test_the_gripper_closes() -> None:
    async with EmulatedBoard("arm") as board, Peer(board.port) as peer:
        await peer.learn()
        await peer.do("grip", hand="close")
        await board.until(grip=True)


async def test_the_station_feels_the_air_slowly_unless_the_test_skips_time() -> None:
    async with EmulatedBoard("station") as board, Peer(board.port) as peer:
        await peer.learn()
        climate = await peer.do("climate")
        assert climate == {"temperature": pytest.approx(21, abs=0.1), "humidity": pytest.approx(45, abs=0.6)}
        await board.world(temperature=30)
        assert (await peer.do("climate"))["temperature"] < 25
        await board.world(skip_s=600)
        assert (await peer.do("climate"))["temperature"] == pytest.approx(30, abs=0.1)


async def test_the_station_gives_an_alarm() -> None:
    async with EmulatedBoard("station") as board, Peer(board.port) as peer:
        await peer.learn()
        await peer.do("alarm", above=25)
        await board.world(temperature=40, skip_s=600)
        await peer.frame(Type.EVENT)


async def test_a_broken_sensor_fails_the_question() -> None:
    async with EmulatedBoard("station") as board, Peer(board.port) as peer:
        await peer.learn()
        await board.world(broken=True)
        outcome, reason = await peer.result(peer.command("climate"))
        assert (outcome, reason) == (Outcome.FAILED, b"OSError: [Errno 5] EIO")


async def readings(seed: str, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    monkeypatch.setenv("BOARDTALK_SEED", seed)
    async with EmulatedBoard("station") as board, Peer(board.port) as peer:
        await peer.learn()
        return [(await peer.do("climate"))["humidity"] for _ in range(20)]


async def test_the_noise_of_a_sensor_has_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    once = await readings("1", monkeypatch)
    assert len(set(once)) > 1
    assert await readings("2", monkeypatch) != once


async def test_the_program_for_a_real_arm_moves_servos() -> None:
    async with MicroPythonBoard(EXAMPLES / "arm") as board, Peer(board.port) as peer:
        await peer.learn()
        await peer.do("turn", shoulder=180, elbow=-90, speed=100)
        assert board.pins[2].frequency == 50
        assert board.pins[2].duty == pytest.approx(65535 * 2.5 / 20, abs=2)
        assert board.pins[3].duty == pytest.approx(65535 * 0.5 / 20, abs=2)


async def test_the_program_for_a_real_station_reads_its_sensor() -> None:
    async with MicroPythonBoard(EXAMPLES / "station") as board, Peer(board.port) as peer:
        sensor = board.i2c.attach(0x40)
        sensor[0] = b"\x60\x00\x80\x00"
        await peer.learn()
        assert await peer.do("climate") == {"temperature": 21.88, "humidity": 50}
        sensor.detach()
        outcome, _ = await peer.result(peer.command("climate"))
        assert outcome is Outcome.FAILED


async def test_the_program_for_a_real_explorer_measures_echoes(tmp_path: Path) -> None:
    for file in (EXAMPLES / "rover" / "chassis.py", EXAMPLES / "explorer" / "main.py"):
        (tmp_path / file.name).write_text(file.read_text())
    async with MicroPythonBoard(tmp_path) as board, Peer(board.port) as peer:
        await peer.learn()
        assert await peer.do("distance") == {"distance": 400}
        for _ in range(20):  # a busy machine makes echoes late
            for level in (1, 0):
                board.pins[11].value = level
                await asyncio.sleep(0.005)
            seen = await peer.do("distance")
            if seen["distance"] < 400:
                break
        assert 0 < seen["distance"] < 400
        board.pins[9].value = 0
        outcome, reason = await peer.result(peer.command("approach"))
        assert (outcome, reason[:31]) == (Outcome.FAILED, b"RuntimeError: something is in t")
