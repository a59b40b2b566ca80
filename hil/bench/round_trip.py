"""A command's way from chat to board and back, and what each stretch of it costs."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import statistics
import tempfile
import time
import tty
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from boardtalk.cli.common import me
from boardtalk.events import Delivery
from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient
from boardtalk.hil.bench.rows import Row
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.demo import CONF
from boardtalk.hil.gateway import GatewayProcess
from boardtalk.modules.iot_bridge.cache import DictionaryCache
from boardtalk.modules.iot_bridge.device import Device
from boardtalk.modules.iot_bridge.news import Order
from boardtalk.modules.iot_bridge.transports.serial import SerialPort
from boardtalk.sdk import Role

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

ECHO: Final = Path(__file__).with_name("echo")
ROUNDS: Final = 400
WARM_UP: Final = 20
ECHO_BYTES: Final = 30
COMMAND: Final = "battery"
"""A query: the board answers at once."""


def rows() -> Iterator[Row]:
    """Round trips over more and more of the way, each beside the bare echo of the same run."""
    yield from asyncio.run(_measure())


async def _measure() -> list[Row]:
    async with EmulatedBoard(ECHO) as board:
        times = await echo(board.port)
    async with EmulatedBoard("rover") as board:
        hop = await _board_hop(board.port)
    async with EmulatedBoard("rover") as board:
        with tempfile.TemporaryDirectory(prefix="boardtalk-bench-") as name:
            folder = Path(name)
            async with GatewayProcess(folder, CONF.format(port=board.port)) as gateway:
                hub = await _through_hub(folder)
                broker = await _through_broker(folder, gateway)
    base = statistics.median(times)
    found = [Row(name="bare echo on a pty, p50", value=base * 1000, unit="ms", n=ROUNDS)]
    for where, times in (("board hop alone", hop), ("through the hub", hub), ("through the broker", broker)):
        ordered = sorted(times)
        p99 = ordered[len(ordered) * 99 // 100]
        found.append(Row.against(f"{where}, p50", statistics.median(times) * 1000, "ms", ROUNDS, base * 1000))
        found.append(Row(name=f"{where}, p99", value=p99 * 1000, unit="ms", n=ROUNDS))
    return found


async def _timed(once: Callable[[], Awaitable[None]]) -> list[float]:
    """Seconds of each of `ROUNDS` calls, after a warm-up."""
    times = []
    for number in range(WARM_UP + ROUNDS):
        began = time.perf_counter()
        await once()
        if number >= WARM_UP:
            times.append(time.perf_counter() - began)
    return times


async def echo(port: str) -> list[float]:
    """A frame's worth of bytes to a MicroPython loop that sends them back, with bare `add_reader`."""
    fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(fd)
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    received = bytearray()
    frame = b"x" * ECHO_BYTES

    def read() -> None:
        received.extend(os.read(fd, 4096))
        if len(received) >= len(frame):
            arrived.set()

    async def once() -> None:
        arrived.clear()
        received.clear()
        os.write(fd, frame)
        await arrived.wait()

    loop.add_reader(fd, read)
    try:
        return await _timed(once)
    finally:
        loop.remove_reader(fd)
        os.close(fd)


async def _board_hop(port: str) -> list[float]:
    """A command over our link to the firmware client, without link process and gateway."""
    with tempfile.TemporaryDirectory(prefix="boardtalk-bench-") as folder:
        async with Device(SerialPort(port), DictionaryCache(Path(folder))) as device:
            index, _ = device.dictionary.by_name[COMMAND]
            numbers = itertools.count(1)

            async def once() -> None:
                await device.command(Order(id=next(numbers), index=index, ttl_s=5.0))

            return await _timed(once)


async def _through_hub(folder: Path) -> list[float]:
    """From the local door through hub, store, chain, bridge and link process, and back."""
    async with GatewayClient.connect(folder, me()) as client:
        events = client.events()

        async def once() -> None:
            message_id = client.say("rover", COMMAND)
            async for event in events:
                if isinstance(event, Delivery) and event.message.refid == message_id:
                    return

        return await _timed(once)


async def _through_broker(folder: Path, gateway: GatewayProcess) -> list[float]:
    """From an ordinary MQTT client over the embedded broker, and back."""
    async with GatewayClient.connect(folder, me()) as client:
        token = (
            await client.ask(control.ChangeUser("add", "bench", Role.OPERATOR), control.UserChanged)
        ).token
    host, port = gateway.mqtt
    loop = asyncio.get_running_loop()
    answers: asyncio.Queue[str] = asyncio.Queue(100)
    subscribed = asyncio.Event()
    mqtt: Any = paho.Client(CallbackAPIVersion.VERSION2)
    mqtt.username_pw_set("bench", token)
    mqtt.on_socket_open = lambda _, __, sock: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    mqtt.on_connect = lambda *_: mqtt.subscribe("chat/bench/in", qos=1)
    mqtt.on_subscribe = lambda *_: loop.call_soon_threadsafe(subscribed.set)
    mqtt.on_message = lambda _, __, message: loop.call_soon_threadsafe(
        answers.put_nowait, msgspec.json.decode(message.payload)["refid"]
    )
    await asyncio.to_thread(mqtt.connect, host, int(port))
    mqtt.loop_start()
    numbers = itertools.count(1)

    async def once() -> None:
        message_id = str(next(numbers))
        envelope = msgspec.json.encode({"to": "rover", "body": COMMAND, "id": message_id})
        mqtt.publish("chat/bench/out", envelope, qos=1)
        while await answers.get() != message_id:
            pass

    try:
        await asyncio.wait_for(subscribed.wait(), 10)
        return await _timed(once)
    finally:
        await asyncio.to_thread(mqtt.disconnect)
        await asyncio.to_thread(mqtt.loop_stop)
