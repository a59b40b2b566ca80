"""What a plan would do, found out without touching a board, and whether it still is so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from boardtalk.modules.flash import fresh, shelf
from boardtalk.modules.flash.plans import Item, Plan
from boardtalk.modules.flash.requests import is_port
from boardtalk.modules.flash.run import order
from boardtalk.modules.flash.workers import Device, Row, Told, answer, plugged, rows
from boardtalk.sdk import Code, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from boardtalk.modules.flash.plans import Act
    from boardtalk.modules.flash.requests import Request, Word
    from boardtalk.sdk import Context

SHOWN: Final = 16
"""Of a digest; all of it counts."""
KEYS: Final[Mapping[Word, str]] = {"flash": "boards", "ota": "programs"}
"""Of the settings: what they may change."""
NO_LINES: Final = {"": "was at no port yet", "mqtt": "comes by MQTT"}


class Planner:
    """Makes plans.

    Args:
        context: of the module.
        config: its settings.
    """

    def __init__(self, context: Context, config: Any) -> None:
        self._context = context
        self._config = config

    async def plan(self, user: str, request: Request, robots: tuple[str, ...]) -> Plan:
        """A plan for these robots, without a code yet.

        Raises:
            Refused: one of them can't be done; says why.
        """
        known = await rows(self._context.state)
        if any(map(is_port, robots)):
            plugged_in = await plugged()
            devices = [fresh.device(port, plugged_in, known) for port in robots]
            items = await asyncio.gather(*(self._new(user, request, each) for each in devices))
        else:
            make = self._firmware if request.word == "flash" else self._program
            items = await asyncio.gather(*(make(user, request, _row(known, robot)) for robot in robots))
        act: Act = "write" if request.word == "flash" else "rollback" if request.act == "rollback" else "push"
        until = self._context.now() + self._config.minutes * 60
        return Plan(
            user, request.word, act, request.target, tuple(items), until, request.erase, request.backup
        )

    async def status(self, user: str, robot: str) -> str:
        """Which release a robot runs, for people."""
        told = await self._asked(user, robot)
        trial = ", on trial" if told.trial else ""
        text = f"{robot} runs {told.runs or 'an unnamed release'}{trial}"
        if told.before is None:
            return text
        return f"{text}; `/ota {robot} rollback` plans the way back to {told.before or 'the one before'}"

    async def check(self, plan: Plan) -> None:
        """See that all is as it was when the plan was made.

        Raises:
            Refused: it is not; the plan is void.
        """
        known = await rows(self._context.state)
        devices = await plugged() if any(item.is_new for item in plan.items) else []
        checks = (
            self._check_new(plan, item, devices, known)
            if item.is_new
            else self._check(plan, item, _row(known, item.robot))
            for item in plan.items
        )
        await asyncio.gather(*checks)

    async def _check_new(
        self, plan: Plan, item: Item, devices: Iterable[Device], known: Iterable[Row]
    ) -> None:
        there = fresh.device(item.port, devices, known)
        if there.identity != item.uid:
            raise Refused(Code.FAILED, f"something else is at {item.port} now; {_void(plan)}")
        fresh.kind(f"{item.kind}/", there, self._config.new)
        await self._check_files(plan, item)

    async def _check(self, plan: Plan, item: Item, row: Row) -> None:
        void = _void(plan)
        if (row.uid, row.port) != (item.uid, item.port):
            raise Refused(Code.FAILED, f"{item.robot} is another board, or at another port, now; {void}")
        if self._kind(plan.word, item.robot) != item.kind:
            raise Refused(Code.FAILED, f"{item.robot} is another kind of board now; {void}")
        if plan.act == "rollback":
            told = await self._asked(plan.user, item.robot)
            if (told.runs, told.before) != (item.before, item.name):
                raise Refused(Code.FAILED, f"{item.robot} runs another release now; {void}")
            return
        await self._check_files(plan, item)

    async def _check_files(self, plan: Plan, item: Item) -> None:
        name = item.name
        try:
            await answer(plan.word, {**order(self._context, plan, item), "what": "check"})
            if item.program is not None:
                name = item.release
                await self._digest(plan.user, item.robot, item.program, item.program_sha256)
        except Refused as refused:
            raise Refused(
                Code.FAILED, f"{name} is not what it was: {refused.reason}; {_void(plan)}"
            ) from refused

    async def _firmware(self, user: str, request: Request, row: Row) -> Item:
        board = self._kind(request.word, row.address)
        if row.port in NO_LINES:
            raise Refused(
                Code.OFFLINE, f"{row.address} {NO_LINES[row.port]}: there is no line to flash it by"
            )
        path = await self._found(self._config.images, board, request.name, "image")
        item = Item(row.address, row.uid, row.port, board, path, path.name, "", before=row.firmware)
        told = await self._checked(user, request, item)
        lost = "all of the flash, with the files on it" if request.erase else "the firmware that is on it"
        backup = "all of the flash is saved before" if request.backup else "no backup"
        about = (
            f"{row.address}: {board} at {row.port}, runs {row.firmware or 'nothing known'}\n"
            f"  gets {told.name}{_version(told)}, {told.size:,} bytes, sha256 {told.sha256[:SHOWN]}…\n"
            f"  lost: {lost}; {backup}"
        )
        return _filled(item, told, about)

    async def _new(self, user: str, request: Request, there: Device) -> Item:
        """For a board that has no address: firmware, and client and program if they are wanted."""
        board = fresh.kind(request.name, there, self._config.new)
        image = request.name.rpartition("/")[2]
        path = await self._found(self._config.images, board, image, "image")
        item = Item(there.port, there.identity, there.port, board, path, path.name, "")
        told = await self._checked(user, request, item)
        lost = "all of the flash, with the files on it" if request.erase else "the firmware that is on it"
        about = (
            f"{there.port}: {board}, {there.name or there.usb}; it has no address\n"
            f"  gets {told.name}{_version(told)}, {told.size:,} bytes, sha256 {told.sha256[:SHOWN]}…\n"
        )
        if request.program:
            program, _, release = request.program.partition("/")
            folder = await self._context.run_in_thread(self._release, program, release)
            made = await self._digest(user, there.port, folder)
            item = item._replace(
                program=folder, release=f"{program}/{folder.name}", program_sha256=made.sha256
            )
            about += f"  then client and program {item.release}, digest {made.sha256[:SHOWN]}…\n"
        backup = "all of the flash is saved before" if request.backup else "no backup"
        return _filled(item, told, f"{about}  lost: {lost}; {backup}")

    def _release(self, program: str, name: str) -> Path:
        """The folder of a program that was named in chat: only what stands in the list. Raises Refused."""
        known = sorted(shelf.names(self._config.releases, ""))
        if known and program not in known:
            told = f"there is no program {program[: shelf.MAX_LISTED * 4]!r}"
            raise Refused(Code.FAILED, f"{told}; there is: {', '.join(known[: shelf.MAX_LISTED])}")
        return shelf.find(self._config.releases, program, name, "release")

    async def _digest(self, user: str, port: str, release: Path, sha256: str = "") -> Told:
        """The digest of a program. Raises Refused: it is no release, or not the one of this digest."""
        asked = {"what": "check", "robot": port, "release": str(release), "sha256": sha256}
        return await answer("ota", {**asked, "by": user, "state": str(self._context.state)})

    async def _program(self, user: str, request: Request, row: Row) -> Item:
        kind = self._kind(request.word, row.address)
        now = await self._asked(user, row.address)
        if request.act == "rollback":
            if now.before is None:
                raise Refused(Code.FAILED, f"{row.address} has no release before {now.runs}")
            about = f"{row.address}: {now.runs or 'what runs'} → {now.before or 'the release before'}"
            name, nothing = now.before, shelf.NOTHING
            item = Item(row.address, row.uid, row.port, kind, nothing, name, "", before=now.runs)
            return item._replace(about=about)
        path = await self._found(self._config.releases, kind, request.name, "release")
        item = Item(row.address, row.uid, row.port, kind, path, path.name, "", before=now.runs)
        told = await self._checked(user, request, item)
        about = (
            f"{row.address}: runs {now.runs or 'an unnamed release'}{', on trial' if now.trial else ''}\n"
            f"  gets {told.name}, {told.size:,} bytes, digest {told.sha256[:SHOWN]}…\n"
            "  lost: the release in the other slot; what runs now is kept for a rollback"
        )
        return _filled(item, told, about)

    async def offers(self, robots: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What may be put on these robots: by robot and word, the kind, and the names to choose from."""
        return await self._context.run_in_thread(self._offered, list(robots))

    async def new(self) -> dict[str, dict[str, list[str]]]:
        """What may be put on boards without an address: by kind images, by program releases."""
        return await self._context.run_in_thread(self._offered_new)

    def _offered_new(self) -> dict[str, dict[str, list[str]]]:
        programs = shelf.names(self._config.releases, "") if self._config.new else []
        return {
            "images": {each: _sayable(shelf.names(self._config.images, each)) for each in self._config.new},
            "releases": {
                each: _sayable(shelf.names(self._config.releases, each)) for each in _sayable(programs)
            },
        }

    def _offered(self, robots: Iterable[str]) -> dict[str, dict[str, Any]]:
        folders = {"flash": self._config.images, "ota": self._config.releases}
        offers: dict[str, dict[str, Any]] = {}
        for word, key in KEYS.items():
            for pair in getattr(self._config, key):
                if pair.robot in robots:
                    found = shelf.names(folders[word], pair.folder)
                    offers.setdefault(pair.robot, {})[word] = {"kind": pair.folder, "names": _sayable(found)}
        return offers

    async def _checked(self, user: str, request: Request, item: Item) -> Told:
        plan = Plan(user, request.word, "write" if request.word == "flash" else "push", "", (), 0.0)
        try:
            return await answer(request.word, {**order(self._context, plan, item), "what": "check"})
        except Refused as refused:
            raise Refused(refused.code, f"{item.name}: {refused.reason}") from refused

    async def _asked(self, user: str, robot: str) -> Told:
        self._kind("ota", robot)
        state = str(self._context.state)
        return await answer("ota", {"what": "status", "robot": robot, "by": user, "state": state})

    async def _found(self, folder: Path | None, kind: str, name: str, what: str) -> Path:
        return await self._context.run_in_thread(shelf.find, folder, kind, name, what)

    def _kind(self, word: Word, robot: str) -> str:
        """The folder in which lies what a robot may get. Raises Refused: nothing is."""
        key = KEYS[word]
        for pair in getattr(self._config, key):
            if pair.robot == robot:
                return str(pair.folder)
        cure = f"`{key} = {robot}: …` in `module flash` allows it"
        raise Refused(Code.DENIED, f"{robot} is not to be changed by `/{word}`: {cure}")


def _filled(item: Item, told: Told, about: str) -> Item:
    return item._replace(sha256=told.sha256, size=told.size, version=told.version, about=about)


def _row(known: Iterable[Row], robot: str) -> Row:
    for row in known:
        if row.address == robot:
            return row
    raise Refused(Code.OFFLINE, f"{robot} was never met by this gateway")


def _void(plan: Plan) -> str:
    return f"the plan is void: `/{plan.word} {plan.target} plan` makes another one"


def _version(told: Told) -> str:
    return f" (version {told.version})" if told.version else ""


def _sayable(names: Sequence[str]) -> list[str]:
    """Those that are one word."""
    return sorted(each for each in names if len(each.split()) == 1)
