"""The local door: serves ``control.sock``, for the terminal chat and the command line.

Who may open the socket (0600) may act as any user: he owns the gateway. It needs no broker.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from boardtalk.events import Delivery
from boardtalk.frontends import control
from boardtalk.frontends.answers.chat import Chat
from boardtalk.frontends.answers.live import Live
from boardtalk.frontends.answers.operation import BoardGate, Operation
from boardtalk.frontends.answers.recording import record
from boardtalk.frontends.answers.settings import Settings
from boardtalk.frontends.control import Failure, Login, Record, Reply, Request, SetPoint, Stop, Welcome
from boardtalk.frontends.rights import require
from boardtalk.people.users import UserError
from boardtalk.runtime.turns import Turns
from boardtalk.sdk import ConfigError, Refused, Role, ServiceError
from boardtalk.sdk.audit import Attempt, Noted, Outcome
from boardtalk.sdk.channel import MAX_LINE_BYTES, Channel
from boardtalk.sdk.groups import MemberList, Members
from boardtalk.sdk.tasks import cancel_and_wait
from boardtalk.store.schema import StoreError
from boardtalk.trial import Trials

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from boardtalk.configuration import Configuration
    from boardtalk.frontends.intake import Intake
    from boardtalk.frontends.reception import Reception
    from boardtalk.hub.calls import Calls
    from boardtalk.hub.hub import Hub
    from boardtalk.hub.sessions import Session
    from boardtalk.people.users import Users

MAX_REQUESTS: Final = 10_000
"""Of one client, that wait to be answered; who has more is cut off."""
LEAVING_S: Final = 1.0
"""How long the requests of a client that has left are still worked off."""

log = structlog.get_logger()


class LocalDoor:
    """Serves the socket while `serve` runs."""

    def __init__(
        self,
        hub: Hub,
        intake: Intake,
        calls: Calls,
        users: Users,
        configuration: Configuration,
        *,
        gate: BoardGate | None = None,
        reception: Reception | None = None,
    ) -> None:
        self._gate = gate
        self._reception = reception
        self._hub = hub
        self._intake = intake
        self._calls = calls
        self._users = users
        self._configuration = configuration
        self._trials = Trials(configuration, hub.store)
        self._chat = Chat(hub, intake)
        self._live = Live(hub, calls)
        self._settings = Settings(configuration, self._trials, hub.directory)
        self._connections: set[asyncio.Task[None]] = set()
        self._persons: dict[Session, tuple[object, ...]] = {}
        """Connections that may do what their user may, and what he was and might when they came."""
        hub.directory.subscribe(self._part)

    @asynccontextmanager
    async def listening(self, folder: Path) -> AsyncIterator[None]:
        """Serve the socket while the context lasts."""
        self._operation = Operation(self._hub, self._users, self._configuration, folder, self._gate)
        path = folder / control.SOCKET
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self._serve, path, limit=MAX_LINE_BYTES)
        finally:
            os.umask(before)
        try:
            yield
        finally:
            server.close()
            self._trials.close()
            await cancel_and_wait(*self._connections)
            path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs this in a task
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        channel: Channel[Request] = Channel(reader, writer, Request)
        try:
            await self._converse(channel)
        except asyncio.CancelledError:
            pass  # the gateway ends; asyncio's streams would report a cancelled handler as an error
        finally:
            channel.close()

    async def _converse(self, channel: Channel[Request]) -> None:
        """Log a client in, then answer it until it leaves."""
        try:
            first = await channel.receive()
            if isinstance(first, Record):
                await record(channel, self._hub, self._users, self._configuration)
                return
            if isinstance(first, control.Unnamed) and self._reception:
                await self._reception.answer(first, channel)
                return
            if isinstance(first, Attempt):
                await self._attempt(channel, first)
                return
            user = self._login(first, channel)
            if user is None or not isinstance(first, Login):
                return
            with self._hub.attach(user) as session:
                if first.as_person:
                    self._persons[session] = self._stamp(user)
                channel.send(Welcome(user))
                async with asyncio.TaskGroup() as tasks:
                    pump = tasks.create_task(_pump(session, channel), name=f"control.sock to {user}")
                    try:
                        await self._requests(channel, session, user)
                    finally:
                        self._persons.pop(session, None)
                        self._calls.leave(session)
                    pump.cancel()
        except* ServiceError as errors:
            log.info("local client cut off", reason=str(errors.exceptions[0]))

    async def _attempt(self, channel: Channel[Request], attempt: Attempt) -> None:
        """Have in the audit that somebody changes a board, and how that ends."""
        note = partial(self._hub.store.audit, attempt.who, attempt.what, attempt.target)
        if attempt.about:
            note(f"{attempt.about}: begins")
        result = f"{attempt.about}: the gateway ended before that did"
        try:
            end = await channel.receive()
            result = (
                end.result
                if isinstance(end, Outcome)
                else f"{attempt.about}: its process ended without a word"
            )
        finally:
            note(result)
        with suppress(ServiceError):  # who was killed hears nothing
            channel.send(Noted())

    def _login(self, first: Request | None, channel: Channel[Request]) -> str | None:
        """Who the client is; None if he is refused, and told so."""
        match first:
            case Login(user) if self._users.get(user):
                return user
            case Login(user):
                channel.send(Failure(f"no user {user!r} here; `boardtalk user add {user}` adds him"))
            case Members(group):
                channel.send(MemberList(self._hub.directory.members(group)))
            case _:
                channel.send(Failure("the first request must be a login"))
        return None

    def _stamp(self, user: str) -> tuple[object, ...]:
        """What changes with who he is and what he may; of admins, who may everything, only the first."""
        account, directory = self._users.get(user), self._hub.directory
        if account is None or account.role is Role.ADMIN:
            return (account.stamp if account else "",)
        return account.stamp, directory.policy.roles, directory.person(user)

    def _part(self) -> None:
        """Cut off persons who are no longer who they were: removed, with another role, password or rights."""
        for session, stamp in self._persons.items():
            if session.address and self._stamp(session.address) != stamp:
                session.close()

    async def _requests(self, channel: Channel[Request], session: Session, user: str) -> None:
        """Answer one request after the other; stops and set-points wait for none of them."""
        waiting: asyncio.Queue[Request] = asyncio.Queue(MAX_REQUESTS)
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(self._work_off(waiting, channel, session, user), name="requests")
            async for request in channel:
                if isinstance(request, Stop):
                    self._stop(request, user)
                    continue
                if isinstance(request, control.Ping):
                    channel.send(control.Pong())
                    continue
                if isinstance(request, SetPoint):  # of an answered call: behind nothing that waits
                    self._calls.set_point(session, request.call, request.values)
                    continue
                try:
                    waiting.put_nowait(request)
                except asyncio.QueueFull:
                    raise ServiceError(f"{MAX_REQUESTS} requests wait: cut off") from None
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVING_S):
                    await waiting.join()
            work.cancel()

    async def _work_off(
        self, waiting: asyncio.Queue[Request], channel: Channel[Request], session: Session, user: str
    ) -> None:
        turns = Turns()
        while True:
            request = await waiting.get()
            await turns.over()
            await self._intake.room()
            try:
                if session in self._persons:
                    require(request, user, self._hub)
                reply = await self._answer(request, session, user)
            except (ConfigError, UserError, Refused, StoreError, ValueError) as error:
                reply = None if isinstance(request, control.Unanswered) else Failure(str(error))
            if reply is not None:
                channel.send(reply)
            waiting.task_done()

    def _stop(self, request: Stop, user: str) -> None:
        self._intake.stop(user, f"{request.robot}: stop".encode() if request.robot else b"stop")

    async def _answer(self, request: Request, session: Session, user: str) -> Reply | None:
        if isinstance(request, control.chat.Request):
            return await self._chat.answer(request, session, user)
        if isinstance(request, control.live.Request):
            return await self._live.answer(request, session, user)
        if isinstance(request, control.operation.Request):
            return await self._operation.answer(request, user, is_person=session in self._persons)
        if isinstance(request, control.settings.Request):
            return await self._settings.answer(request, user)
        return Failure("already logged in")


async def _pump(session: Session, channel: Channel[Request]) -> None:
    """Pass a session's events on; when it is closed, so is the connection."""
    async for batch in session.events():
        turns = Turns()
        for event in batch:
            await turns.over()
            channel.send(event)
            if isinstance(event, Delivery):
                await channel.drained()
                session.handed_over(event)
        await channel.drained()
    channel.close()
