"""Robots in virtual time: the same story comes to the same end, and nobody waits for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from boardtalk.hil.board import BoardError
from boardtalk.hil.virtual.clock import run
from boardtalk.hil.virtual.robot import NotDone, VirtualRobot
from boardtalk.hil.virtual.wire import Line


def test_the_rover_drives_to_and_fro_at_once() -> None:
    async def there_and_back() -> dict[str, Any]:
        async with VirtualRobot("rover") as robot:
            for _ in range(6):
                await robot.do("forward 300")
                await robot.do("turn 180")
            assert asyncio.get_running_loop().time() > 30
            return await robot.do("position")

    assert abs(run(there_and_back())["x"]) < 300


def test_a_story_is_the_same_twice() -> None:
    async def story() -> tuple[object, ...]:
        async with VirtualRobot("explorer", Line(baud=9600, loss=0.05)) as robot:
            robot.world(obstacles=[[90, 0, 10]], noise_cm=3)
            seen = [await robot.do("distance") for _ in range(5)]
            near = await robot.do("approach 30")
            return seen, near, robot.outputs, asyncio.get_running_loop().time()

    once = run(story())
    assert run(story()) == once


def test_what_is_in_the_way_fails_the_motion_in_the_robots_words() -> None:
    async def story() -> None:
        async with VirtualRobot("rover") as robot:
            robot.world(obstacle_cm=10)
            with pytest.raises(NotDone, match="something is in the way"):
                await robot.do("forward 20 cm")

    run(story())


def test_the_explorer_bumps_into_what_its_sensor_passes_by() -> None:
    async def story() -> None:
        async with VirtualRobot("explorer") as robot:
            robot.world(obstacles=[[40, 9, 3]])
            assert await robot.do("bumper") == {"bumper": False}
            with pytest.raises(NotDone, match="it did not see"):
                await robot.do("approach 20")
            assert await robot.do("bumper") == {"bumper": True}

    run(story())


def test_the_noise_of_the_distance_sensor_has_a_seed_and_a_size() -> None:
    async def story() -> None:
        async with VirtualRobot("explorer") as robot:

            async def readings(seed: int) -> list[float]:
                robot.world(obstacle_cm=100, noise_cm=5, seed=seed)
                return [(await robot.do("distance"))["distance"] for _ in range(20)]

            once = await readings(7)
            assert all(95 <= each <= 105 for each in once)
            assert max(once) - min(once) > 2
            assert await readings(8) != once
            robot.world(noise_cm=0)
            assert await robot.do("distance") == {"distance": 100}

    run(story())


def test_an_unknown_robot_is_refused() -> None:
    async def story() -> None:
        async with VirtualRobot("rovre"):
            pass

    with pytest.raises(BoardError, match="no robot 'rovre' comes with boardtalk"):
        run(story())


def test_a_stop_is_what_it_is_on_a_board() -> None:
    async def story() -> None:
        async with VirtualRobot("rover") as robot:
            motion = asyncio.create_task(robot.do("forward 500"))
            await asyncio.sleep(1)
            await robot.stop(1)
            with pytest.raises(NotDone, match="stopped"):
                await motion
            powers = [record.state["left"] for record in robot.outputs if "left" in record.state]
            assert powers[-1] == 0
            with pytest.raises(NotDone, match="rearm"):
                await robot.do("forward 20", epoch=1)
            await robot.rearm(1)
            await robot.do("forward 20", epoch=1)

    run(story())


def test_the_station_feels_the_air_within_its_own_time() -> None:
    async def story() -> float:
        async with VirtualRobot("station") as robot:
            robot.world(temperature=30)
            await robot.do("climate")
            await asyncio.sleep(60)
            return float((await robot.do("climate"))["temperature"])

    assert run(story()) == pytest.approx(30, abs=0.1)
