"""`boards/<address>/state` at the broker: what dashboards see is never older than the link process."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import LinkClient, ended
from boardtalk.sdk.mqtt.endpoint import boards_file
from tests.gateway.brokers import HOSTED, TOKENS, Person, hosted, logins, person, until
from tests.iot_bridge.fake_board import FakeBoard


@pytest.fixture(params=HOSTED)
async def alice(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Person]:
    """A dashboard at a broker that the link process is told of."""
    async with hosted(request.param, tmp_path / "broker", logins("alice")) as broker:
        boards_file(tmp_path).parent.mkdir()
        boards_file(tmp_path).write_text(broker.boards_endpoint.to_json())
        async with person(broker.endpoint, "alice", "boards/+/state", token=TOKENS["alice"]) as alice:
            yield alice


def shown(alice: Person) -> str:
    """What stands at the broker of the rover; "" = nothing."""
    return json.loads(alice.texts[-1])["state"] if alice.heard and alice.texts[-1] else ""


async def ready(alice: Person) -> None:
    await until(lambda: shown(alice) == "ready", "the rover is ready")


async def test_a_board_is_shown_offline_when_the_link_process_ends(
    alice: Person, board: FakeBoard, tmp_path: Path
) -> None:
    async with await LinkClient.start(tmp_path, [api.WantedBoard(name="rover", port=board.port)]):
        await ready(alice)
    await until(lambda: shown(alice) == "offline", "the rover is offline")
    told = json.loads(alice.texts[-1])
    assert told["uid"] == "c0ffee01"
    assert "no link process" in told["detail"]


async def test_a_board_that_did_not_come_back_after_a_kill_is_shown_offline(
    alice: Person, board: FakeBoard, tmp_path: Path
) -> None:
    killed = await LinkClient.start(tmp_path, [api.WantedBoard(name="rover", port=board.port)])
    await ready(alice)
    os.kill(killed.pid, signal.SIGKILL)
    await ended(killed.pid)
    await killed.close(shutdown=False)
    assert shown(alice) == "ready", "there is nobody who could know"
    async with await LinkClient.start(tmp_path, [api.WantedBoard(name="rover")]):
        await until(lambda: shown(alice) == "offline", "the rover is offline")


async def test_of_a_board_that_the_gateway_no_longer_knows_nothing_is_shown(
    alice: Person, board: FakeBoard, tmp_path: Path
) -> None:
    first = await LinkClient.start(tmp_path, [api.WantedBoard(name="rover", port=board.port)])
    await ready(alice)
    await first.close(shutdown=False)
    board.unplug()
    await until(lambda: shown(alice) == "offline", "the rover is offline")
    async with await LinkClient.start(tmp_path, []):
        await until(lambda: shown(alice) == "", "nothing is shown")
