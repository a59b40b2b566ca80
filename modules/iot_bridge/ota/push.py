"""One update of one board: from its files to a release that has proved itself. It goes on after any loss."""

from __future__ import annotations

import asyncio
from binascii import crc32
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.dictionary import parse
from boardtalk.modules.iot_bridge.errors import LinkError, UpdateRefused
from boardtalk.modules.iot_bridge.frames import Ota
from boardtalk.modules.iot_bridge.ota.conversation import Conversation, converse
from boardtalk.modules.iot_bridge.ota.difference import differences, missed
from boardtalk.modules.iot_bridge.ota.keys import board_key
from boardtalk.sdk import ServiceError

if TYPE_CHECKING:
    from pathlib import Path

    from construct import Container

    from boardtalk.modules.iot_bridge.dictionary import Dictionary
    from boardtalk.modules.iot_bridge.ota.release import Release

FIRST_S: Final = 3.0
"""That an earlier `push` was killed, or the board has just restarted, may not be noticed yet."""
PATIENCE_S: Final = 60.0
"""A transfer ends when for so long nothing has arrived."""
TRIAL_PATIENCE_S: Final = 120.0
"""Three starts of a release that hangs, each ended by the watchdog, and the start of the one before."""
AGAIN_S: Final = 0.5
LOOK_S: Final = 1.0
TRIES: Final = 3
"""To send a file that is not on the board as it was sent."""
HAVE_BYTES: Final = frames.OtaHave.sizeof()


class Watcher(Protocol):
    """Who is told how it goes on."""

    def total(self, size: int) -> None:
        """So many bytes are to be sent, from now on."""
        ...

    def sent(self, size: int) -> None:
        """So many more have arrived."""
        ...

    def say(self, text: str) -> None:
        """Something for people."""
        ...


class Push:
    """An update.

    Args:
        state: the gateway's state folder.
        board: its address.
        release: what it gets.
        watcher: is told how it goes on.
        declares: what robots with it can do, as far as that is known before it runs.
    """

    def __init__(
        self, state: Path, board: str, release: Release, watcher: Watcher, declares: Dictionary | None = None
    ) -> None:
        self.runs = ""
        """The release that runs, as far as the board has told."""
        self.met = False
        """Whether the board was there at all."""
        self.had_it = False
        """Whether it ran the release before, so that nothing was to be done."""
        self.committed = False
        """Whether the board starts the release, and decides whether that stays: nobody can call it off."""
        self._state = state
        self._board = board
        self._release = release
        self.watcher = watcher
        self._declares = declares
        self._by = f"update to {release.name}"
        self._number = 0
        """Of the release; 0: the board has not told yet which it had."""
        self._before = 0
        """The slot that ran."""
        self._could: Dictionary | None = None
        self._heard_at = 0.0
        self._said = ""

    async def transfer(self) -> None:
        """Send the release; the board starts it on trial. What is there already is not sent again.

        Raises:
            UpdateRefused: the board does not take it.
            LinkError: it was away for too long.
            ServiceError: the gateway was, or there is none.
        """
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        patience = FIRST_S
        while True:
            try:
                async with converse(self._state, self._board, self._by) as talk:
                    self._heard_at = loop.time()
                    patience = PATIENCE_S
                    await self._transfer(talk)
                    return
            except UpdateRefused:
                raise
            except (LinkError, ServiceError) as error:
                nobody = isinstance(error, ServiceError) and patience == FIRST_S
                if nobody or loop.time() - self._heard_at > patience:
                    raise
                self._say_once(f"{error}; it goes on when that is over")
            await asyncio.sleep(AGAIN_S)

    async def proof(self) -> None:
        """Wait until the release has proved itself.

        Raises:
            UpdateRefused: it has not: the one before runs again.
            LinkError: the board is away for too long.
        """
        if self.had_it:
            return
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        tried = False
        while True:
            with suppress(LinkError, ServiceError):
                async with converse(self._state, self._board, self._by) as talk:
                    status = await talk.status()
                    self.runs = label(status, status.running)
                    self._heard_at = loop.time()
                    if status.trial and not tried:
                        tried = True
                        await self._tell_difference(talk)
                    if self._ended(status):
                        break
            if loop.time() - self._heard_at > TRIAL_PATIENCE_S:
                raise LinkError(f"{self._board} has not come back; `boardtalk ota status` tells when it does")
            await asyncio.sleep(LOOK_S)
        if status.running == self._before:
            raise UpdateRefused(
                f"{self._board}: {self._release.name} did not prove itself; the release before runs again"
            )

    def _ended(self, status: Container[Any]) -> bool:
        """Whether the trial is over."""
        return not status.trial and (status.running != self._before or not status.left)

    async def look(self) -> None:
        """Ask the board which release it runs, and tell what the new one changes; nothing is begun.

        Raises:
            UpdateRefused: it can't be updated.
            LinkError: it is not there.
        """
        async with converse(self._state, self._board, self._by) as talk:
            await self._meet(talk)
            self._announce()

    async def _transfer(self, talk: Conversation) -> None:
        status = await self._meet(talk)
        if self.had_it or self.committed or status.floor >= self._number:
            self.committed = True
            return  # it has begun, only its answer was lost
        self.committed = False  # it was said, and did not arrive
        self._announce()
        if not talk.latched:
            self.watcher.say(f"{self._board} is stopped for the update")
            await talk.stop(self._by)
        key = board_key(self._state, talk.uid)
        manifest = self._release.manifest(talk.uid, self._number, key)
        await talk.ask(Ota.MANIFEST, frames.OtaManifest.build({"step": Ota.MANIFEST, "size": len(manifest)}))
        await talk.stream(manifest)
        for tries in range(TRIES):
            await self._send_missing(talk, await talk.ask(Ota.BEGIN))
            self.committed = True
            try:
                await talk.ask(Ota.COMMIT)
            except UpdateRefused:
                self.committed = False
                if tries == TRIES - 1:
                    raise
            else:
                return

    async def _meet(self, talk: Conversation) -> Container[Any]:
        """How the board is; the first time, how it was before."""
        status = await talk.status()
        self.met = True
        self.runs = label(status, status.running)
        if self._number:
            return status
        self._number, self._before = status.floor + 1, status.running
        self._could = parse(await talk.dictionary())
        ours = [label(status, slot) == self._release.version for slot in (0, 1)]
        self.had_it = ours[status.running] and not status.trial
        self.committed = bool(ours[status.running] and status.trial)  # by one who went away since
        if self.committed:
            self._before = 1 - status.running
        elif status.left and ours[1 - status.running]:
            self.committed = True
        return status

    async def _send_missing(self, talk: Conversation, told: list[bytes]) -> None:
        """Send what the board does not have: of a file that it has a part of, the rest."""
        missing = []
        for answer in told:
            for at in range(0, len(answer) - HAVE_BYTES + 1, HAVE_BYTES):
                have = frames.OtaHave.parse(answer[at : at + HAVE_BYTES])
                data = self._release.files[have.file].data
                missing.append((have.file, have.size if crc32(data[: have.size]) == have.crc else 0))
        self.watcher.total(sum(len(self._release.files[file].data) - offset for file, offset in missing))
        for file, offset in missing:
            await talk.say(frames.OtaFile.build({"step": Ota.FILE, "file": file, "offset": offset}))
            await talk.stream(self._release.files[file].data[offset:], self._sent)

    def _sent(self, size: int) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        self._said = ""
        self.watcher.sent(size)

    def _announce(self) -> None:
        """Tell what the release changes of what the robot can do, before it runs."""
        if self._could is None or self._declares is None or self.had_it:
            return
        if lines := differences(self._could, self._declares):
            self.watcher.say(f"{self._release.name} changes what {self._board} can do:")
            self._say_all(lines)

    async def _tell_difference(self, talk: Conversation) -> None:
        self.watcher.say(f"{self._release.name} runs on trial, until it was in touch for 30 s")
        if self._could is not None:
            self._say_all(differences(self._could, parse(await talk.dictionary())))

    def _say_all(self, lines: list[str]) -> None:
        for line in lines:
            self.watcher.say(f"  {line}")
        if names := missed(lines):
            self.watcher.say(
                f"  who uses {', '.join(names)}, in chats or programs, will find it gone or changed"
            )

    def _say_once(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self.watcher.say(text)


def label(status: Container[Any], slot: int) -> str:
    """What the release in a slot is called; "": not known."""
    return str([*status.versions.split("\n"), "", ""][slot])
