"""The local door: serves ``control.sock``, for the terminal chat and the command line.

Who may open the socket (0600) may act as any user: he owns the gateway. It needs no broker.
"""

from __future__ import annotations

import asyncio
import os
import platform
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import msgspec
import structlog

from boardtalk import broker
from boardtalk.events import Delivery
from boardtalk.frontends import overview, rules
from boardtalk.frontends.control import (
    SOCKET,
    Accounts,
    AskCall,
    Asked,
    AskPage,
    Audit,
    AuditPage,
    BoardChanged,
    BrokerInfo,
    CallOpened,
    ChangeBoard,
    ChangeRights,
    ChangeSettings,
    ChangeUser,
    Complete,
    Completions,
    ConfirmSettings,
    ContactList,
    Contacts,
    ConversationList,
    Conversations,
    Diagnose,
    Explained,
    Failure,
    GetSettings,
    HandOver,
    HangUp,
    History,
    Judge,
    Login,
    MarkRead,
    ModuleReports,
    Modules,
    ModuleSettings,
    NewPassword,
    Observed,
    OpenCall,
    Past,
    Plugged,
    Read,
    Record,
    Recording,
    Reload,
    Reloaded,
    Reply,
    Request,
    RevertSettings,
    Rights,
    Send,
    SetPoint,
    SettingsKept,
    SettingsOnTrial,
    SetUp,
    Show,
    Shown,
    Stop,
    System,
    Unanswered,
    Unnamed,
    Unwatch,
    UserChanged,
    Verify,
    Watch,
    Watching,
    Welcome,
    Why,
)
from boardtalk.frontends.rights import require
from boardtalk.policy import Wish
from boardtalk.sdk import ConfigError, Kind, Refused, Role, ServiceError, check_name
from boardtalk.sdk.audit import Attempt, Noted, Outcome
from boardtalk.sdk.channel import MAX_LINE_BYTES, Channel
from boardtalk.sdk.groups import MemberList, Members
from boardtalk.store import StoreError
from boardtalk.trial import Trials
from boardtalk.turns import Turns
from boardtalk.users import UserError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from boardtalk.board_logins import BoardLogins
    from boardtalk.calls import Calls
    from boardtalk.configuration import Configuration
    from boardtalk.frontends.intake import Intake
    from boardtalk.frontends.reception import Reception
    from boardtalk.hub import Hub
    from boardtalk.sessions import Session
    from boardtalk.store import HistoryEntry
    from boardtalk.users import Users
    from boardtalk.witness import Seen

MAX_REQUESTS: Final = 10_000
"""Of one client, that wait to be answered; who has more is cut off."""
MAX_ANSWER_BYTES: Final = MAX_LINE_BYTES // 2
"""Of a list that is told in part if it is longer."""
MAX_PAGE: Final = 1000
"""Messages that are looked through at once for some that the user may see."""
LEAVING_S: Final = 1.0
"""How long the requests of a client that has left are still worked off."""


class BoardGate(NamedTuple):
    """Where boards log in."""

    logins: BoardLogins
    left: Callable[[str], Awaitable[None]]
    """Says that a board was cut off."""
    host: str
    port: int
    tls: bool
    own: bool
    """Whether its logins are made here."""


log = structlog.get_logger()
T = TypeVar("T")


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
        self._connections: set[asyncio.Task[None]] = set()
        self._persons: dict[Session, tuple[object, ...]] = {}
        """Connections that may do what their user may, and what he was and might when they came."""
        hub.directory.subscribe(self._part)

    @asynccontextmanager
    async def listening(self, folder: Path) -> AsyncIterator[None]:
        """Serve the socket while the context lasts."""
        self._folder = folder
        path = folder / SOCKET
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
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
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
                await self._record(channel)
                return
            if isinstance(first, Unnamed) and self._reception:
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

    async def _record(self, channel: Channel[Request]) -> None:
        """Tell a recorder all that happens, until it leaves."""
        channel.send(
            Recording(
                version=version("boardtalk"),
                python=platform.python_version(),
                configuration=self._configuration.shown,
                users={account.address: account.role for account in self._users},
                online=[each.address for each in self._users if self._hub.directory.is_online(each.address)],
                next_row=self._hub.store.next_row,
                modules={each.name: each.version for each in self._configuration.runner.reports()},
            )
        )

        def tell(seen: Seen) -> None:
            with suppress(ServiceError):  # it does not read: `receive` ends
                channel.send(Observed(seen))

        with self._hub.witness.watched(tell):
            while await channel.receive() is not None:
                pass

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
                reply = None if isinstance(request, Unanswered) else Failure(str(error))
            if reply is not None:
                channel.send(reply)
            waiting.task_done()

    def _stop(self, request: Stop, user: str) -> None:
        self._intake.stop(user, f"{request.robot}: stop".encode() if request.robot else b"stop")

    async def _answer(self, request: Request, session: Session, user: str) -> Reply | None:
        match request:
            case OpenCall() | AskCall() | HandOver() | HangUp() | Watch() | Unwatch():
                return await self._live(request, session, user)
            case ChangeUser() | ChangeBoard() | Modules() | Reload() | System() | Diagnose() | Audit():
                return await self._administer(request, is_person=session in self._persons)
            case (
                GetSettings() | ChangeSettings() | ConfirmSettings() | RevertSettings()
                | Rights() | ChangeRights() | Judge()
            ):  # fmt: skip
                return await self._configure(request, user)
            case Send(payload):
                self._intake.receive(user, payload.encode(), "local", session)
                return None
            case Read(sender, message_id):
                await self._hub.marks.read(user, sender, message_id, session)
                return None
            case MarkRead(other, row):
                await self._hub.marks.move(user, other, row, session)
                return None
            case Contacts() | Complete() | History() | Conversations() | Why() | Show() | Plugged():
                return await self._look(request, user)
            case Stop() | SetPoint():
                return None  # never waits: see `_requests`
            case (
                Login() | Record() | Members() | Attempt() | Outcome()
                | Verify() | SetUp() | NewPassword() | AskPage() | Accounts()
            ):  # fmt: skip
                return Failure("already logged in")

    async def _look(
        self, request: Contacts | Complete | History | Conversations | Why | Show | Plugged, user: str
    ) -> Reply:
        match request:
            case Show(instance):
                return Shown(await self._hub.modules.show(user, instance))
            case Plugged():
                return await asyncio.to_thread(overview.plugged)
            case Contacts():
                return ContactList(self._hub.directory.contacts_for(user))
            case Complete(to, line):
                return Completions(await self._hub.modules.complete(to, line, user))
            case History():
                return await self._history(request, user)
            case Conversations(limit):
                groups, read = self._hub.directory.groups_of(user), await self._hub.marks.of(user)
                found = await self._hub.store.conversations(user, groups=groups, read=read, limit=limit)
                seen = [each for each in found if self._hub.directory.sees(user, each.other)]
                return ConversationList(_fitting(seen))
            case Why(message_id):
                return Explained(await self._hub.traces.why(user, message_id))

    async def _history(self, request: History, user: str) -> Past:
        entries = await self._seen(request, user)
        nearest_first = entries if request.after is not None else entries[::-1]
        told = _fitting(nearest_first[: request.limit])
        plain = [msgspec.to_builtins(entry) for entry in told]
        return Past(plain if request.after is not None else plain[::-1], more=len(told) < len(entries))

    async def _seen(self, request: History, user: str) -> list[HistoryEntry]:
        """One more than asked for, if there are so many, but those with robots that the user may not see."""
        sees, most = partial(self._hub.directory.sees, user), request.limit + 1
        before, after, page = request.before, request.after, most
        seen: list[HistoryEntry] = []
        if request.other and not sees(request.other):
            return seen
        while True:
            found = await self._hub.store.history(
                user,
                request.other or None,
                groups=self._hub.directory.groups_of(user),
                text=request.text,
                before=before,
                after=after,
                limit=page,
            )
            fine = [each for each in found if sees(each.sender) and sees(each.to)]
            seen = [*seen, *fine] if after is not None else [*fine, *seen]
            if len(found) < page or len(seen) >= most:
                return seen[:most] if after is not None else seen[-most:]
            page = MAX_PAGE
            if after is not None:
                after = found[-1].row
            else:
                before = found[0].row

    async def _live(
        self,
        request: OpenCall | AskCall | HandOver | HangUp | Watch | Unwatch,
        session: Session,
        user: str,
    ) -> CallOpened | Asked | Watching | None:
        match request:
            case OpenCall(to, control):
                return CallOpened((await self._calls.open(session, user, to, control)).id)
            case AskCall(to):
                ask = self._calls.ask(user, to)
                return Asked(ask.id, ask.holder, ask.until)
            case HandOver(name, yes):
                self._calls.answer(user, name, yes=yes)
            case HangUp(call):
                self._calls.hang_up(session, call)
            case Watch(address, names):
                return self._watch(session, user, address, names)
            case Unwatch(address):
                self._hub.series.unwatch(session, address)
        return None

    def _watch(self, session: Session, user: str, address: str, names: list[str]) -> Watching:
        self._hub.directory.require(address, user)
        self._hub.access.require(user, Wish("see", address))
        self._hub.series.watch(session, address, names)
        past = self._hub.series.past(address)
        shown = [name for name in names if name in past] if names else list(past)
        room = MAX_ANSWER_BYTES // max(1, len(shown))
        return Watching(address, {name: _fitting(past[name][::-1], room)[::-1] for name in shown})

    async def _administer(
        self,
        request: ChangeUser | ChangeBoard | Modules | Reload | System | Diagnose | Audit,
        *,
        is_person: bool,
    ) -> Reply:
        match request:
            case ChangeUser(action, address) if (
                is_person and action in {"remove", "role"} and self._users.is_last_admin(address)
            ):
                cure = "make somebody else one first, with a password"
                raise UserError(f"{address} is the last admin who can log in: {cure}")
            case ChangeUser():
                return self._change_user(request)
            case ChangeBoard():
                return await self._change_board(request)
            case Modules():
                return ModuleReports(self._configuration.runner.reports())
            case System():
                return overview.report(self._hub, self._folder, self._broker)
            case Diagnose():
                return overview.diagnosis(self._hub, self._configuration, self._folder, self._broker)
            case Audit(limit, before, text):
                lines = await self._hub.store.audit_lines(before, limit + 1, text)
                told = _fitting(lines[::-1][:limit])[::-1]
                return AuditPage(told, more=len(told) < len(lines))
            case Reload():
                return Reloaded(await self._configuration.reload())

    @property
    def _broker(self) -> BrokerInfo | None:
        gate = self._gate
        return BrokerInfo(gate.host, gate.port, gate.tls, gate.own) if gate else None

    async def _configure(
        self,
        request: GetSettings
        | ChangeSettings
        | ConfirmSettings
        | RevertSettings
        | Rights
        | ChangeRights
        | Judge,
        user: str,
    ) -> Reply:
        match request:
            case Rights():
                return rules.listed(self._configuration.document, self._trials.pending)
            case ChangeRights(name, values, confirm_s):
                return SettingsOnTrial(*await self._trials.begin_rights(user, name, values, confirm_s))
            case Judge():
                return rules.judged(self._hub.directory, request)
            case GetSettings(instance):
                block, settings = self._trials.form(instance)
                return ModuleSettings(instance, block.where, settings, self._trials.pending)
            case ChangeSettings(instance, values, confirm_s):
                return SettingsOnTrial(*await self._trials.begin(user, instance, values, confirm_s))
            case ConfirmSettings(change):
                return SettingsKept(str(await self._trials.confirm(user, change)))
            case RevertSettings(change):
                return Reloaded(await self._trials.revert(user, change))

    def _change_user(self, request: ChangeUser) -> UserChanged:
        if request.action == "add":
            check_name(request.address)
            taken = self._hub.directory.kind(request.address)
            if taken not in (None, Kind.USER):
                raise UserError(f"{request.address!r} is the address of a {taken}")
        change = self._users.change(request.action, request.address, request.role, request.password)
        return UserChanged(change.address, change.role, change.token, self._configuration.foreign_broker)

    async def _change_board(self, request: ChangeBoard) -> BoardChanged:
        if self._gate is None:
            raise UserError("there is no broker to log in at: write a block `broker { }`")
        logins, left, host, port, tls, own = self._gate
        if request.revoke:
            logins.revoke(request.address)
            await left(request.address)
            return BoardChanged(request.address, own=own)
        taken = self._hub.directory.kind(request.address)
        if taken not in (None, Kind.ROBOT):
            raise UserError(f"{request.address!r} is the address of a {taken}")
        login = broker.Login(request.address, logins.renew(request.address).token, board=True)
        await left(request.address)
        return BoardChanged(login.address, login.name, login.token, host, port, tls, own)


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


def _fitting(found: list[T], room: int = MAX_ANSWER_BYTES) -> list[T]:
    """The first of them, as many as go into so many bytes; one goes anyhow."""
    for count, each in enumerate(found):
        room -= len(msgspec.json.encode(each))
        if room < 0 and count:
            return found[:count]
    return found
