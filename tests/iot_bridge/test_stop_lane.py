"""Whom a payload on `chat/<user>/stop` stops, as the link process reads it; in doubt everybody."""

from __future__ import annotations

import pytest

from boardtalk.modules.iot_bridge.service.stop_lane import whom
from boardtalk.sdk.stopwords import ALL

BOARDS = {"rover", "arm"}


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (b"rover: stop", "rover"),
        (b" Rover: STOP!", "rover"),
        (b'{"to": "rover", "body": "stop"}', "rover"),
        (b'{"to": "rover", "body": "whatever", "id": "arm"}', "rover"),
        (b'{"to": "rover", "body": "stop arm"}', "arm"),
        (b'{"to": "rover"}', "rover"),
        (b"crew: stop", "crew"),
        (b'{"to": "crew", "body": "stop"}', "crew"),
    ],
)
def test_c07_a_stop_that_names_somebody_is_for_him(payload: bytes, name: str) -> None:
    assert whom(payload, BOARDS.__contains__) == name


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"stop", b"stop all", b"arm: stop all", b"stop rover", b"help", b"\xff\xfe", b"{",
        b'{"to": 7}', b'{"body": "stop"}', b'{"to": "rover", "body": "stop all"}',
        pytest.param(b"[" * 100_000, id="too deep"), pytest.param(b" " * 1_000_000, id="blanks"),
    ],
)  # fmt: skip
def test_c07_whatever_else_comes_there_is_for_all(payload: bytes) -> None:
    assert whom(payload, BOARDS.__contains__) == ALL
