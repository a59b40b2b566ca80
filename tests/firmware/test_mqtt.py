"""The client at a broker: what it acts on, and what it needs; real brokers, real MicroPython."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from boardtalk.broker import Login
from boardtalk.broker.hosted import Hosted
from boardtalk.hil.board import EmulatedBoard
from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.dictionary import Command, parse
from boardtalk.modules.iot_bridge.frames import Kind, Outcome, Type
from boardtalk.modules.iot_bridge.link.framing import pack, unpack
from boardtalk.modules.iot_bridge.link.hello import Hello, parse_hello
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import LinkClient
from boardtalk.sdk.mqtt.endpoint import boards_file
from tests.gateway.brokers import HOSTED, hosted

from .test_memory import RESERVE_BYTES, SLACK_BYTES, compiled, program

TOKEN = "rover" * 8
WAIT_S = 10.0
ROUNDS = 300


@asynccontextmanager
async def at_broker(kind: str, state: Path) -> AsyncIterator[Hosted]:
    async with hosted(kind, state, [Login("rover", TOKEN, board=True)]) as running:
        boards_file(state).write_text(running.boards_endpoint.to_json())
        yield running


def settle(folder: Path, running: Hosted, **changes: Any) -> Path:
    """Let the program in a folder log in at a broker."""
    settings = {
        "host": running.endpoint.host,
        "port": running.endpoint.port,
        "user": "_board_rover",
        "password": TOKEN,
        "topic": "boards/rover",
    }
    (folder / "boardtalk.json").write_text(json.dumps(settings | changes))
    return folder


def hello(nonce: int) -> bytes:
    body = frames.HelloHost.build({"oldest": frames.VERSION, "newest": frames.VERSION, "nonce": nonce})
    return pack(Kind.HELLO, Type.HELLO, body, seq=0, ack=0, retry=False, seed=0)


async def answered(link: aiomqtt.Client, nonce: int) -> list[Hello]:
    """All HELLOs of the board, until it answers this nonce."""
    seen = []
    async with asyncio.timeout(WAIT_S):
        async for message in link.messages:
            if not str(message.topic).endswith("/tx"):
                continue
            frame = unpack(bytes(message.payload), 0)
            assert frame
            said = parse_hello(frame.payload)
            assert said
            seen.append(said)
            if said.host_nonce == nonce:
                return seen
    raise AssertionError("the broker went away")


@pytest.mark.parametrize("kind", HOSTED)
async def test_what_a_broker_has_kept_is_not_acted_on(kind: str, tmp_path: Path) -> None:
    async with at_broker(kind, tmp_path) as running:
        at = running.boards_endpoint
        async with aiomqtt.Client(at.host, at.port, username=at.user, password=at.password) as link:
            await link.subscribe("boards/+/tx")
            await link.subscribe("boards/+/status", qos=1)
            await link.publish("boards/rover/rx", hello(1), qos=1, retain=True)
            async with EmulatedBoard(settle(program(tmp_path), running)):
                async with asyncio.timeout(WAIT_S):
                    async for message in link.messages:
                        if (str(message.topic), message.payload) == ("boards/rover/status", b"online"):
                            break
                await link.publish("boards/rover/rx", b"", retain=True)
                for nonsense in (b"", b"\0", bytes(253), bytes(range(256))[:253], b"x" * 253):
                    await link.publish("boards/rover/rx", nonsense)
                await link.publish("boards/rover/rx", hello(2))
                assert 1 not in [said.host_nonce for said in await answered(link, 2)]


async def test_a_message_that_is_no_frame_by_far_ends_the_connection_not_the_program(tmp_path: Path) -> None:
    async with at_broker("nats-server", tmp_path) as running:
        at = running.boards_endpoint
        async with (
            aiomqtt.Client(at.host, at.port, username=at.user, password=at.password) as link,
            EmulatedBoard(settle(program(tmp_path), running)) as board,
        ):
            await link.subscribe("boards/+/status", qos=1)
            seen: list[Any] = []
            async with asyncio.timeout(WAIT_S):
                async for message in link.messages:
                    seen.append(message.payload)
                    if seen == [b"online"]:
                        await link.publish("boards/rover/rx", bytes(5000))
                    if seen == [b"online", b"offline", b"online"]:
                        break
            assert board.running


@pytest.mark.parametrize("prepare", [program, compiled], ids=["source", "compiled"])
async def test_the_rover_works_on_and_on_over_mqtt_in_96k(prepare: Any, tmp_path: Path) -> None:
    """64 bit: it is what 48 kB is on a microcontroller."""
    folder = tmp_path / "robot"
    folder.mkdir()
    async with (
        at_broker("nats-server", tmp_path) as running,
        EmulatedBoard(settle(prepare(folder), running), heap="96k"),
        await LinkClient.start(tmp_path, [api.WantedBoard(name="rover", port="mqtt")]) as client,
    ):
        async with asyncio.timeout(WAIT_S):
            async for event in client.events():
                if isinstance(event, api.BoardChanged) and event.state is api.BoardState.READY:
                    break
        known = parse(await client.dictionary("rover"))
        commands = {command.name: (index, command) for index, command in enumerate(known.commands)}
        ids = iter(range(1, 1 << 20))

        async def do(name: str) -> dict[str, Any]:
            index, command = commands[name]
            return await result_of(client, next(ids), index, command)

        async def free() -> int:
            return max([(await do("memory"))["free"] for _ in range(10)])

        for _ in range(10):
            await do("battery")
        before = await free()
        for _ in range(ROUNDS):
            await do("battery")
            await do("position")
        after = await free()
        print(f"free: {before} bytes, after {ROUNDS} rounds {after}")
        assert after >= RESERVE_BYTES
        assert after >= before - SLACK_BYTES


async def result_of(client: LinkClient, id_: int, index: int, command: Command) -> dict[str, Any]:
    client.command(api.Command(board="rover", id=id_, index=index, ttl_ms=5000))
    async with asyncio.timeout(WAIT_S):
        async for event in client.events():
            if isinstance(event, api.Result) and event.id == id_:
                assert event.outcome is Outcome.DONE, event.detail
                return dict(command.returns_format.unpack(event.data))
    raise AssertionError("the link process went away")
