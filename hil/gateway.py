"""A gateway in a process of its own, for the demo and for tests."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Final, Self

from boardtalk.hil.janitor import kill_link
from boardtalk.runtime.state import locked
from boardtalk.sdk import BoardtalkError
from boardtalk.sdk.leash import leashed

if TYPE_CHECKING:
    from pathlib import Path

START_TIMEOUT_S: Final = 20.0
STOP_TIMEOUT_S: Final = 10.0
LOG_LINES: Final = 20
"""Of each log, shown when something can't start."""
POLL_S: Final = 0.02
"""Between two looks whether a robot is there."""
LOGS: Final = ("gateway.log", "link.log")


class GatewayError(BoardtalkError):
    """The gateway can't start."""


class GatewayProcess:
    """`boardtalk run` on a state folder, as an async context manager.

    Its log goes to ``gateway.log`` there: on the terminal it would stand in the chat.

    Args:
        folder: the state folder.
        conf: its configuration.

    Raises:
        GatewayError: it did not start.
        StateError: another gateway uses the folder.
    """

    def __init__(self, folder: Path, conf: str) -> None:
        self.folder = folder
        self.ready = ""
        """The line that it printed when everything worked."""
        self._conf = conf
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    @property
    def mqtt(self) -> tuple[str, int]:
        """Where its broker listens."""
        fields = dict(part.split("=", 1) for part in self.ready.split() if "=" in part)
        host, _, port = fields["mqtt"].rpartition(":")
        return host, int(port)

    async def start(self) -> None:
        """Start it, or start it again after `kill`; returns when it is ready."""
        path, log = self.folder / "gateway.conf", self.folder / LOGS[0]
        with locked(self.folder):  # a gateway that runs already keeps its own
            path.write_text(self._conf)
            if not self.ready:
                log.write_bytes(b"")
        with log.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *leashed(
                    sys.executable, "-m", "boardtalk", "run", "--conf", str(path), "--state", str(self.folder)
                ),
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        assert self._process.stdout is not None  # noqa: S101 - asked for
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                self.ready = (await self._process.stdout.readline()).decode().strip()
        except TimeoutError as error:
            raise GatewayError(f"the gateway did not start within {START_TIMEOUT_S:g} s") from error
        if not self.ready.startswith("ready"):
            await self._process.wait()
            said = log.read_text(errors="replace").strip().removeprefix("boardtalk: ")
            raise GatewayError(f"the gateway did not start: {said}")

    async def kill(self) -> None:
        """End it with no chance to tidy up. Its link process stays, as it would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def end(self) -> None:
        """End it, and its link process."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if process.returncode:  # a link process outlives a gateway that did not end in an orderly way
            kill_link(self.folder)

    async def online(self, robot: str, user: str) -> None:
        """Wait until it reaches a robot.

        Raises:
            GatewayError: it does not within a reasonable time.
        """
        from boardtalk.frontends import control
        from boardtalk.frontends.client import GatewayClient

        try:
            async with asyncio.timeout(START_TIMEOUT_S), GatewayClient.connect(self.folder, user) as client:
                while True:
                    contacts = (await client.ask(control.Contacts(), control.ContactList)).contacts
                    if any(contact.address == robot and contact.online for contact in contacts):
                        return
                    await asyncio.sleep(POLL_S)
        except TimeoutError as error:
            raise GatewayError(f"{robot} does not answer; what was logged:\n{self.logged()}") from error

    def logged(self, lines: int = LOG_LINES) -> str:
        """The ends of the logs of gateway and link process."""
        logs = [path for name in LOGS if (path := self.folder / name).exists()]
        return "\n".join("\n".join(path.read_text(errors="replace").splitlines()[-lines:]) for path in logs)
