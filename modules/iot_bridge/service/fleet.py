"""All boards: which there are, what they are called, and in which port each one is."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.modules.iot_bridge.cache import DictionaryCache
from boardtalk.modules.iot_bridge.errors import LinkError, WrongBoard
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.board import STOP_ANSWER_S, Board
from boardtalk.modules.iot_bridge.service.memory import Memory
from boardtalk.modules.iot_bridge.service.slot import Slot
from boardtalk.modules.iot_bridge.service.tap import Taps
from boardtalk.modules.iot_bridge.service.upkeep import MQTT
from boardtalk.modules.iot_bridge.transports import discovery
from boardtalk.modules.iot_bridge.transports.ports import transport
from boardtalk.modules.iot_bridge.transports.serial import SerialPort
from boardtalk.sdk import AddressError, check_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from boardtalk.modules.iot_bridge.device import Device
    from boardtalk.modules.iot_bridge.feed import Feed
    from boardtalk.modules.iot_bridge.service.broker import Broker

AUTO: Final = "auto"


class Fleet:
    """The boards of one gateway.

    Args:
        folder: for what must be remembered.
        feed: where everything about the boards is told.
        tasks: runs what belongs to boards and ports.
        broker: leads to the boards that come by MQTT.
    """

    def __init__(
        self, folder: Path, feed: Feed[api.AnyEvent], tasks: asyncio.TaskGroup, broker: Broker
    ) -> None:
        self.taps = Taps()
        self._broker = broker
        self._memory = Memory(folder / "boards.json")
        self._cache = DictionaryCache(folder / "dictionaries")
        self._feed = feed
        self._tasks = tasks
        self._boards: dict[str, Board] = {}
        self._waiting: list[Board] = []
        self._wanted: dict[str, api.WantedBoard] = {}
        self._slots: dict[tuple[str, int, str, str], tuple[Slot, asyncio.Task[None]]] = {}
        self._found: dict[str, tuple[Slot, asyncio.Task[None]]] = {}
        self._twins: dict[str, tuple[str, str]] = {}
        """Ports whose board has the unique id of another one: that, and the other one's port."""
        self._adopt_all = False
        self._usb: frozenset[discovery.UsbId] = frozenset()
        self._watcher: asyncio.Task[None] | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._boards

    def __getitem__(self, name: str) -> Board:
        """A board by its address. Raises LinkError if there is none."""
        if name not in self._boards:
            raise LinkError(f"there is no board {name!r}")
        return self._boards[name]

    def describe(self, *, clocks: bool = False) -> tuple[api.BoardChanged, ...]:
        """All boards, those that wait for adoption last."""
        boards = (*self._boards.values(), *self._waiting)
        if not clocks:
            return tuple(board.describe() for board in boards)
        return tuple(
            msgspec.structs.replace(
                board.describe(), clock=board.clock(), lost=board.lost(), frames=board.frames()
            )
            for board in boards
        )

    def unmet(self) -> tuple[api.BoardChanged, ...]:
        """Ports that were found, but where no board of ours has answered yet, with the reason."""
        known = {board.port for board in (*self._boards.values(), *self._waiting)}
        return tuple(
            api.BoardChanged(
                name="",
                uid="",
                port=path,
                firmware="",
                state=api.BoardState.OFFLINE,
                epoch=0,
                dictionary="",
                detail=slot.trouble,
            )
            for path, (slot, _) in self._found.items()
            if slot.trouble and path not in known
        )

    # What the gateway wants -----------------------------------------------------------------------

    def configure(self, attach: api.Attach) -> None:
        """Open the ports that are wanted now and close those that are not. What stays is not touched."""
        self._wanted = {wanted.name: wanted for wanted in attach.boards}
        self._adopt_all = attach.adopt_all
        for name in [name for name, board in self._boards.items() if self._forgotten(name, board)]:
            del self._boards[name]
            self._broker.forget(name)
        for name in (*self._memory.names(), *self._wanted):
            self._broker.show(self._board(name).describe())  # it can be stopped before it comes
        self._open_ports([wanted for wanted in attach.boards if wanted.port != AUTO])
        self._look_for(frozenset(attach.usb))

    def _forgotten(self, name: str, board: Board) -> bool:
        known = name in self._wanted or name in self._memory.names()
        return not known and board.device is None

    def _open_ports(self, wanted: Iterable[api.WantedBoard]) -> None:
        keys = {(each.port, each.baud, each.uid.lower(), each.name) for each in wanted}
        for key in self._slots.keys() - keys:
            self._slots.pop(key)[1].cancel()
        for key in keys - self._slots.keys():
            port, baud, uid, name = key
            way = partial(self._broker.port, name) if port == MQTT else partial(transport, port, baud)
            board = self._board(name)
            board.port = board.port or port  # where it is to be, until it was seen somewhere
            slot = Slot(port, way, self, self._cache, board=board, uid=uid)
            self._slots[key] = slot, self._tasks.create_task(slot.run(), name=f"port {port}")

    def _look_for(self, usb: frozenset[discovery.UsbId]) -> None:
        if usb == self._usb:
            return
        self._usb = usb
        if self._watcher is not None:
            self._watcher.cancel()
        self._watcher = self._tasks.create_task(self._watch(), name="watch for ports")

    async def _watch(self) -> None:
        async for ports in discovery.watch(self._usb):
            taken = {str(Path(key[0]).resolve()) for key in self._slots}
            paths = {port.path for port in ports if str(Path(port.path).resolve()) not in taken}
            for path in self._found.keys() - paths:
                self._found.pop(path)[1].cancel()
            for path in paths - self._found.keys():
                slot = Slot(path, partial(SerialPort, path), self, self._cache)
                self._found[path] = slot, self._tasks.create_task(slot.run(), name=f"port {path}")

    async def lend(self, name: str, to: str) -> tuple[Slot | None, api.Lent]:
        """Close a port for somebody else, until its `Slot.take_back`.

        Args:
            name: a board's address, or a port's path or URL: whoever is there, or nobody yet.
            to: what for, in words.

        Returns:
            The port's slot; None: that port is not ours.

        Raises:
            LinkError: there is no such board, it has no port that could be lent, or that is lent already.
        """
        named = name.startswith("/") or "://" in name
        port = name if named else self[name].port
        slots = self._at(port)
        if named and not slots:
            return None, api.Lent(port="", baud=0)
        if not slots or port == MQTT:
            where = "comes by MQTT" if port == MQTT else "was at no port yet"
            raise LinkError(f"{name} {where}: there is no line that could be lent")
        await slots[0].lend(to)
        wanted = self._wanted.get(name)
        return slots[0], api.Lent(port=port, baud=wanted.baud if wanted else api.WantedBoard(name="").baud)

    def _at(self, port: str) -> list[Slot]:
        """The slots of a port, by whichever of its names."""
        real = str(Path(port).resolve()) if port.startswith("/") else port
        return [s for s in self._all_slots if s.path == port or str(Path(s.path).resolve()) == real]

    @property
    def _all_slots(self) -> list[Slot]:
        return [slot for slot, _ in (*self._slots.values(), *self._found.values())]

    def _borrower(self, name: str) -> str:
        """To whom a board's line is lent; "": to nobody."""
        board = self._boards.get(name)
        if board is None or not any(slot.lent for slot in self._all_slots):
            return ""
        return next((slot.lent for slot in self._at(board.port) if slot.lent), "")

    # Who is who ---------------------------------------------------------------------------------

    def find(self, device: Device, board: Board | None, uid: str) -> Board:
        """The board at the other end of a session.

        Args:
            device: the session.
            board: the one whose port it is, if it has one of its own.
            uid: of the only one that may be there; "" = any.

        Raises:
            WrongBoard: it is another one, it is connected already, or another one has its name.
        """
        hello = device.hello
        if uid and hello.uid != uid:
            raise WrongBoard(
                f"{device.port}: board {hello.uid} ({self._address(hello.uid) or hello.name}) is there "
                f"instead of {uid}; it is left alone"
            )
        claimed = self._address(hello.uid)
        if board and claimed not in {"", board.name} and (claimed in self._wanted or device.port == MQTT):
            raise WrongBoard(
                f"{device.port}: board {hello.uid} is {claimed}; it is not taken for {board.name}"
            )
        self._refuse_twin(device)
        self._waiting = [other for other in self._waiting if other.device is not None]
        name = board.name if board else self._name(hello.uid, hello.name)
        if name:
            return self._free(name, device)
        stranger = Board("", hello.uid, self._feed, self._memory, self._tasks, taps=self.taps)
        self._waiting.append(stranger)
        return stranger

    def _refuse_twin(self, device: Device) -> None:
        """See that no other board has this unique id, as those with copied flash do.

        The second one is left alone as long as the first one is plugged in, also while that restarts: what is
        for the one must not come to the other. Raises WrongBoard.
        """
        uid, port = device.hello.uid, device.port
        known = (*self._boards.values(), *self._waiting)
        first = next((other.port for other in known if other.device is not None and other.uid == uid), "")
        twin, there = self._twins.pop(port, ("", ""))
        if not first and twin == uid and there.startswith("/") and Path(there).exists():
            first = there
        if first:
            self._twins[port] = uid, first
            raise WrongBoard(
                f"{port}: board {uid} is connected at {first} already; if these are two boards, they have "
                "one unique id, and this one is left alone"
            )

    def _free(self, name: str, device: Device) -> Board:
        """The board of this name, which no other may be now. Raises WrongBoard."""
        board = self._board(name)
        if board.device is not None:
            raise WrongBoard(
                f"{device.port}: board {device.hello.uid} would be {name}, but {board.uid} at {board.port} is"
            )
        return board

    def adopt(self, uid: str, name: str) -> None:
        """Give a board that waits a name, for good.

        Raises:
            LinkError: no such board waits, or the name can't be given.
        """
        waiting = [board for board in self._waiting if board.uid == uid and board.device is not None]
        if not waiting:
            raise LinkError(f"no board {uid!r} waits for adoption")
        try:
            check_name(name)
        except AddressError as error:
            raise LinkError(str(error)) from error
        if name in self._boards:
            raise LinkError(f"{name} is the address of another board")
        (board,) = waiting
        board.name = name
        self._waiting.remove(board)
        self._boards[name] = board
        self._memory.put(uid, msgspec.structs.replace(self._memory.get(uid), name=name))
        self._tasks.create_task(self._memory.save(), name="save")
        board.tell()

    def _board(self, name: str) -> Board:
        if name not in self._boards:
            wanted = self._wanted.get(name)
            uid = wanted.uid.lower() if wanted else self._memory.names().get(name, "")
            self._boards[name] = Board(name, uid, self._feed, self._memory, self._tasks, taps=self.taps)
        return self._boards[name]

    def _address(self, uid: str) -> str:
        """The address that a block or an adoption has given to a board; "" = none."""
        for wanted in self._wanted.values():
            if wanted.uid.lower() == uid:
                return wanted.name
        return self._memory.get(uid).name

    def _name(self, uid: str, declared: str) -> str:
        """The address of a board found somewhere; "" if somebody must adopt it first."""
        if known_as := self._address(uid):
            return known_as
        name = re.sub(r"[^a-z0-9_-]+", "-", declared.lower())[:27].strip("-_") or "board"
        block, known = self._wanted.get(name), self._boards.get(name)
        if block is not None and block.port == AUTO and not block.uid and (not known or not known.device):
            return name
        if not self._adopt_all:
            return ""
        taken = block is not None or (known is not None and known.uid != uid)
        return f"{name}-{uid[-4:]}" if taken else name

    async def save(self) -> None:
        """Write what must be remembered, before the end: who is stopped may have changed just now."""
        await self._memory.save()

    # Stop ---------------------------------------------------------------------------------------

    async def stop(self, wanted: tuple[str, ...]) -> tuple[api.BoardStopped, ...]:
        """Stop boards; all, if none is named, or one that nobody knows: in doubt, stop.

        All are told before the first answer is waited for.
        """
        return tuple(await asyncio.gather(*(self._answer(*each) for each in self.begin_stop(wanted))))

    def begin_stop(self, wanted: tuple[str, ...]) -> list[tuple[str, asyncio.Task[bool] | None]]:
        """`stop` for who does not wait for the confirmations, of which the tasks tell."""
        names = wanted if wanted and self._boards.keys() >= set(wanted) else tuple(self._boards)
        return [(each, self._boards[each].stop()) for each in names]

    async def _answer(self, name: str, stopping: asyncio.Task[bool] | None) -> api.BoardStopped:
        """How one board takes a stop."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        confirmed = False
        if stopping is not None:
            done, _ = await asyncio.wait({stopping}, timeout=STOP_ANSWER_S)
            confirmed = bool(done) and not stopping.cancelled() and stopping.result()
        ms = (loop.time() - began) * 1000
        return api.BoardStopped(
            board=name, confirmed=confirmed, ms=ms, lent="" if confirmed else self._borrower(name)
        )
