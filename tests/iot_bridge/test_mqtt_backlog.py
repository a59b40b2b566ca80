"""Nothing that a broker kept or repeated counts as said by a board now."""

from __future__ import annotations

from pathlib import Path

import pytest

from boardtalk.modules.iot_bridge.service.broker import ONLINE, Broker
from boardtalk.sdk.mqtt.packets import Publish

FRAME = bytes(range(1, 20))


class Connection:
    """Where acknowledgements would go."""

    def send(self, data: bytes) -> None: ...


@pytest.mark.parametrize(
    ("how", "heard"), [({}, True), ({"retain": True}, False), ({"dup": True}, False)], ids=str
)
async def test_c04_only_what_a_board_says_now_reaches_its_session(
    tmp_path: Path, how: dict[str, bool], heard: bool
) -> None:
    broker, connection = Broker(tmp_path), Connection()
    broker.connection = connection  # type: ignore[assignment]
    broker._take(connection, Publish("boards/rover/status", ONLINE))  # type: ignore[arg-type]
    async with broker.port("rover") as port:
        broker._take(connection, Publish("boards/rover/tx", FRAME, **how))  # type: ignore[arg-type]
        assert bool(port._input) == heard
