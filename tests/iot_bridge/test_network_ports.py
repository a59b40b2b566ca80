"""Boards behind a TCP port and behind RFC 2217: real servers, real MicroPython."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from boardtalk import doctor
from boardtalk import stop as stop_door
from boardtalk.hil.board import EmulatedBoard
from boardtalk.modules.iot_bridge.dictionary import parse
from boardtalk.modules.iot_bridge.errors import PortError, PortMissing
from boardtalk.modules.iot_bridge.frames import Outcome
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import LinkClient, ask
from boardtalk.modules.iot_bridge.transports.ports import transport
from boardtalk.sdk import ServiceError, Severity
from tests.iot_bridge.servers import Rfc2217Server, listening, tcp_server

KINDS = ("tcp", "rfc2217")
pytestmark = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # pyserial's


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[Path]:
    yield tmp_path
    with suppress(ServiceError):
        await ask(tmp_path, api.Shutdown())


@pytest.fixture
async def board() -> AsyncIterator[EmulatedBoard]:
    async with EmulatedBoard("rover") as board:
        yield board


class Server:
    """A serial server that can be ended and started again on the same port."""

    def __init__(self, kind: str, device: str) -> None:
        self._kind, self._device = kind, device
        self._stack = AsyncExitStack()
        self.port = 0
        self.touched = lambda: 0

    @property
    def url(self) -> str:
        return f"{self._kind}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        if self._kind == "tcp":
            self.port = await self._stack.enter_async_context(tcp_server(self._device, self.port))
            return
        server = self._stack.enter_context(Rfc2217Server(self._device, self.port).serving())
        self.port, self.touched = server.port, lambda: server.device.touched

    async def end(self) -> None:
        await self._stack.aclose()


@pytest.fixture(params=KINDS)
async def server(request: pytest.FixtureRequest, board: EmulatedBoard) -> AsyncIterator[Server]:
    server = Server(request.param, board.port)
    await server.start()
    yield server
    await server.end()


async def changed(client: LinkClient, state: api.BoardState, detail: str = "") -> api.BoardChanged:
    for known in client.boards:
        if known.state is state and detail in known.detail:
            return known
    async with asyncio.timeout(20):
        async for event in client.events():
            if isinstance(event, api.BoardChanged) and event.state is state and detail in event.detail:
                return event
    raise AssertionError("the link process went away")


async def attach(state: Path, url: str, **more: str) -> LinkClient:
    return await LinkClient.start(state, [api.WantedBoard(name="rover", port=url, **more)])  # type: ignore[arg-type]


async def ended_so(client: LinkClient, id_: int) -> api.Result:
    async with asyncio.timeout(20):
        async for event in client.events():
            if isinstance(event, api.Result) and event.id == id_:
                return event
    raise AssertionError("the link process went away")


async def command(client: LinkClient, id_: int, name: str, **args: object) -> api.Result:
    known = parse(await client.dictionary("rover"))
    index, what = next((i, each) for i, each in enumerate(known.commands) if each.name == name)
    packed = what.args_format.pack({each.name: args.get(each.name, each.default) for each in what.args})
    lease_ms = 500 if what.cls == "motion" else 0
    client.command(
        api.Command(board="rover", id=id_, index=index, ttl_ms=1000, lease_ms=lease_ms, args=packed)
    )
    return await ended_so(client, id_)


async def test_commands_and_answers_go_through_the_server(
    server: Server, state: Path, board: EmulatedBoard
) -> None:
    async with await attach(state, server.url) as client:
        ready = await changed(client, api.BoardState.READY)
        assert (ready.uid, ready.port) == (board.uid, server.url)
        began = time.perf_counter()
        for number in range(1, 51):
            assert (await command(client, number, "battery")).outcome is Outcome.DONE
        print(f"{(time.perf_counter() - began) / 50 * 1000:.1f} ms a query over {server.url}")
        assert (await command(client, 99, "horn", duration=0.1)).outcome is Outcome.DONE
    assert server.touched() == 0, "DTR and RTS are left alone"


async def test_c07_stop_goes_through_the_server(server: Server, state: Path, board: EmulatedBoard) -> None:
    async with await attach(state, server.url) as client:
        await changed(client, api.BoardState.READY)
        moving = asyncio.create_task(command(client, 1, "forward", distance=300, speed=50))
        await asyncio.sleep(0.3)
        (stopped,) = await stop_door.stop(state, ("rover",), "alice")
        assert stopped.confirmed
        await board.until(left=0, right=0)
        assert (await moving).outcome is Outcome.CANCELLED


async def test_c12_a_server_that_went_away_is_told_and_the_board_is_back_with_it(
    server: Server, state: Path
) -> None:
    async with await attach(state, server.url) as client:
        await changed(client, api.BoardState.READY)
        await server.end()
        await changed(client, api.BoardState.OFFLINE, "nobody listens there")
        found = await asyncio.to_thread(lambda: list(doctor.examine(state)))
        (finding,) = [each for each in found if "rover on" in each.what]
        assert finding.severity is Severity.PROBLEM
        assert server.url in finding.what
        assert "server" in finding.what
        assert "copy it" not in finding.cure
        await server.start()
        assert (await changed(client, api.BoardState.READY)).port == server.url


class Router:
    """Between gateway and server; it may lose all that it knows of connections, as after a power cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._copying: set[asyncio.Task[None]] = set()
        self._forgotten: list[asyncio.StreamWriter] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._port)
        self._forgotten.append(writer)
        ways = (self._copy(reader, ours), self._copy(theirs, writer))
        self._copying = {asyncio.create_task(way, name="a router's way") for way in ways}

    def forget(self) -> None:
        """What is open stays so for who has it, and nothing comes through any more; none hears of it."""
        for task in self._copying:
            task.cancel()

    def close(self) -> None:
        self.forget()
        for writer in self._forgotten:
            writer.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(4096):
                writer.write(data)
        finally:
            if writer not in self._forgotten:
                writer.close()


async def test_c12_a_connection_that_is_open_at_one_end_only_is_noticed_and_made_anew(
    state: Path, board: EmulatedBoard
) -> None:
    async with tcp_server(board.port, 0) as port:
        router = Router(port)
        async with listening(router.take) as front:
            try:
                async with await attach(state, f"tcp://127.0.0.1:{front}") as client:
                    await changed(client, api.BoardState.READY)
                    router.forget()
                    began = time.monotonic()
                    await changed(client, api.BoardState.OFFLINE, "fell silent")
                    print(f"noticed after {time.monotonic() - began:.1f} s")
                    await changed(client, api.BoardState.READY)
                    assert (await command(client, 1, "battery")).outcome is Outcome.DONE
            finally:
                router.close()


async def test_c12_another_board_behind_the_server_is_refused_with_its_name(
    server: Server, state: Path, board: EmulatedBoard
) -> None:
    async with await attach(state, server.url, uid="1234abcd") as client:
        refused = await changed(client, api.BoardState.OFFLINE, board.uid)
        assert "(rover)" in refused.detail


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def banner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await reader.read()


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while True:
            writer.write(bytes(range(256)) * 16)
            await writer.drain()
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("kind", "serve", "told"),
    [
        ("tcp", silence, "nobody answers"),
        ("tcp", banner, "It printed: 'SSH-2.0-OpenSSH_9.6"),
        ("tcp", garbage, "nobody answers"),
        ("rfc2217", silence, "not as RFC 2217 has it"),
        ("rfc2217", banner, "not as RFC 2217 has it"),
        ("rfc2217", garbage, "not as RFC 2217 has it"),
    ],
)
async def test_a_server_that_is_something_else_is_told_and_a_board_beside_it_works(
    kind: str, serve: object, told: str, state: Path, board: EmulatedBoard
) -> None:
    async with listening(serve) as port:  # type: ignore[arg-type]
        wrong = api.WantedBoard(name="wrong", port=f"{kind}://127.0.0.1:{port}")
        right = api.WantedBoard(name="rover", port=board.port)
        async with await LinkClient.start(state, [wrong, right]) as client:
            await changed(client, api.BoardState.READY)
            assert (await changed(client, api.BoardState.OFFLINE, told)).name == "wrong"
            assert (await command(client, 1, "battery")).outcome is Outcome.DONE


@pytest.mark.parametrize(
    ("url", "error", "told"),
    [
        ("tcp://127.0.0.1:1", PortMissing, "nobody listens"),
        ("rfc2217://127.0.0.1:1", PortMissing, "nobody listens"),
        ("tcp://no-such-host.invalid:4000", PortMissing, "nobody knows"),
        ("rfc2217://no-such-host.invalid:4000", PortMissing, "nobody knows"),
        ("tcp://127.0.0.1", PortError, "HOST:PORT"),
        ("rfc2217://:4000", PortError, "HOST:PORT"),
        ("tcp://127.0.0.1:4000/x", PortError, "HOST:PORT"),
        ("tcp://127.0.0.1:99999", PortError, "HOST:PORT"),
        ("udp://127.0.0.1:4000", PortError, "no such kind"),
    ],
)
async def test_an_address_that_leads_nowhere_is_told_clearly(
    url: str, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        async with transport(url, 115_200):
            pass


async def test_an_attempt_that_is_given_up_leaves_no_connection(board: EmulatedBoard) -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        gone.set()

    async with listening(serve) as port:
        opening = asyncio.create_task(transport(f"rfc2217://127.0.0.1:{port}", 115_200).__aenter__())
        await asyncio.sleep(0.2)
        opening.cancel()
        async with asyncio.timeout(15):
            await gone.wait()


async def test_a_line_of_so_many_baud_is_given_no_more_than_it_carries(board: EmulatedBoard) -> None:
    async with tcp_server(board.port) as port, transport(f"tcp://127.0.0.1:{port}", 9600) as line:
        began = asyncio.get_running_loop().time()
        for _ in range(20):
            while line.room <= 0:
                room = asyncio.Event()
                line.when_room(room.set)
                await room.wait()
            line.write(bytes(10))
        assert asyncio.get_running_loop().time() - began > 0.19  # 200 bytes take 208 ms
