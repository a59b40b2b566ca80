"""The hub: accepts messages durably, runs the chain, routes what remains, tells what became of it.

Front-ends call `accept` and read a `Session`; modules come in through `gateway.context`.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
from msgspec.structs import replace

from boardtalk import events, witness
from boardtalk.chain import Chain, Outcome, Passage
from boardtalk.events import Delivery, Event, Held, Presence, Sample, Update
from boardtalk.handover import Handover
from boardtalk.marks import Marks
from boardtalk.policy import Wish
from boardtalk.pulse import Pulse
from boardtalk.quota import Quota
from boardtalk.receipts import Receipts
from boardtalk.sdk import (
    SYSTEM,
    Code,
    Completion,
    Flag,
    Kind,
    Message,
    Module,
    Refused,
    State,
    Status,
    User,
)
from boardtalk.series import Series
from boardtalk.sessions import Session, Sessions
from boardtalk.store import Accepted, Conflict, Conversation, Duplicate, Explanation, NotStored, Step, Store
from boardtalk.turns import Turns
from boardtalk.unfinished import Unfinished
from boardtalk.witness import Came, Passed, Said, Sent, Stopped, TurnedAway, Witness

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Iterator, Mapping, Sequence
    from types import TracebackType

    from boardtalk.directory import Directory
    from boardtalk.users import Audience

MAX_WAITING: Final = 1_000
"""Messages of one conversation that may wait for a slow module."""
MAX_WAITING_COMMANDS: Final = 50
"""… with a robot: more would be too late when they come to it."""
MAX_BEHIND_S: Final = 2.0
"""What comes is refused while what came before had to wait longer to be accepted."""
MAX_WHAT_CHARS: Final = 100
MAX_DETAIL_CHARS: Final = 2_000
"""Of what a module tells of one step of a message's way."""
MAX_REMEMBERED: Final = 10_000
"""Messages sent by modules whose status changes are still passed on to them."""

MAX_DENIALS: Final = 1_000
"""That are remembered."""
DENIED_AGAIN_S: Final = 10.0
"""The same one is in the audit once in so long: who may not must not fill the disk."""
COMPLETE_S: Final = 1.0
"""Whoever types does not wait longer for what may follow."""
SHOW_S: Final = 2.0
"""Longest that somebody waits for what a module shows of itself; what else he asks waits meanwhile."""
MAX_SHOWN_BYTES: Final = 256 * 1024
ACCEPTED: Final = Status(code=Code.ACCEPTED, state=State.ACCEPTED)


class Hub:
    """The middle of the gateway. Use as an async context manager; it owns the tasks it starts."""

    def __init__(self, store: Store, directory: Directory) -> None:
        self.store = store
        self.directory = directory
        self.witness = Witness()
        self.chain = Chain(())
        self.modules: Mapping[str, Module] = {}
        self._early: list[tuple[str, Message, Status | None]] | None = []
        """What modules said before there was a chain."""
        self._go_on: list[Message] = []
        """What was said to people, and was under way when the last gateway ended."""
        self._sessions = Sessions(self.witness)
        self._unfinished = Unfinished(store, directory, self._sessions)
        self._questions = Quota("questions what became of messages")
        self._denials: dict[tuple[str, str, str, str], float] = {}
        """When, monotonic."""
        self._receipts = Receipts(store, directory, self.tell)
        self._marks = Marks(store, directory, self._sessions, self._receipts)
        self.series = Series()
        self._handover = Handover(store, self._sessions, self)
        self._waiting: dict[tuple[str, str], deque[tuple[Message, int, Status | None]]] = {}
        self._pulse = Pulse()
        self._behind_s = 0.0
        """How long the last message had to wait for the disk and for its turn."""
        self._module_sent: OrderedDict[tuple[str, str], tuple[str, int]] = OrderedDict()
        """Instances and rows, by senders and ids."""
        self._origins: dict[int, Session] = {}
        """Where messages were said that wait for the disk, by their rows."""
        self._tasks = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._go_on = await self._unfinished.find()
        self._spawn(self._dispatch_committed(), "hub acceptor")
        self._spawn(self._handover.expire(), "what has expired")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.sleep(0)  # those that are new begin, or there would be nothing to clean up after them
        for task in self._running:
            task.cancel()
        self._sessions.close()
        await self._tasks.__aexit__(kind, error, trace)

    def load(self, chain: Chain, modules: Mapping[str, Module]) -> None:
        """Put a chain into service; `modules` are its instances, by instance name."""
        self.chain = chain
        self.modules = modules
        self._unfinished.hand_on(chain, modules, self.tell)
        go_on, self._go_on = self._go_on, []
        for message in go_on:
            self._enter(message.with_(accepted=time.monotonic()), 0)
        if self._early is not None:  # until now nobody could say anything
            self._spawn(self._pulse.run(), "pulse")
        early, self._early = self._early or [], None
        for instance, message, status in early:
            self._enter(message, chain.behind(instance), status)

    # Front-ends -------------------------------------------------------------------------------

    @contextmanager
    def attach(self, address: str | None, listeners: frozenset[str] | None = None) -> Iterator[Session]:
        """A session while the context lasts.

        Args:
            address: of a user; None: a broker's, which gets what is for all of them.
            listeners: who is to be found at that broker at first; None: it never tells. See `listen`.
        """
        session = Session(address, self._handover.done, listeners)
        self._sessions.add(session)
        if address is None and listeners is None:
            self._catch_up(None)
        for user in listeners or ((address,) if address else ()):
            self._came(user)
        try:
            yield session
        finally:
            self._sessions.remove(session)
            self._handover.take_back(session)
            self.series.leave(session)
            for user in session.listeners or ((address,) if address else ()):
                self._went(user)

    @property
    def sessions(self) -> list[Session]:
        """All that are open."""
        return self._sessions.all()

    def listen(self, session: Session, users: frozenset[str]) -> None:
        """Note whose messages are heard at a broker from now on."""
        before, session.listeners = session.listeners or frozenset(), users
        for user in users - before:
            self._came(user)
        for user in before - users:
            self._went(user)

    def accept(self, message: Message, session: Session | None = None) -> None:
        """Take a message from a user. What becomes of it comes back through his sessions.

        His sessions but the given one, in which he said it, are shown the message itself.

        Raises:
            Refused: the gateway is full, or it is for modules only. All other refusals are told to the
                sender as statuses.
        """
        if message.flags & Flag.REPLACES:
            raise Refused(Code.DENIED, f"only modules replace what they have said: flag {Flag.REPLACES:d}")
        message = message.with_(accepted=time.monotonic() - self._pulse.age_s(), row=0)
        if message.flags & (Flag.TRANSIENT | Flag.PRESENCE):
            self.witness.tell(Said, message)
            self._echo(message, session)
            self._enter(message, 0)
            return
        if self._is_behind:
            raise Refused(Code.BUSY, f"the gateway is {self._behind_s:.0f} s behind; try again in a moment")
        row = self.store.put(message)
        if session is not None:
            self._origins[row] = session
        self.witness.tell(Said, message)

    @property
    def _is_behind(self) -> bool:
        """Whether messages needed so long to be accepted that others must not come."""
        return self._behind_s > MAX_BEHIND_S and self.store.pending > 0

    async def room(self) -> None:
        """Wait until there is room: a front-end that forwards many messages waits here."""
        await self.store.room()
        if self._is_behind:
            await asyncio.sleep(0)  # or who tries again and again would never let it catch up

    def turn_away(self, message: Message, refused: Refused) -> None:
        """Refuse what a front-end can't hand in, or has handed in, in vain."""
        self.witness.tell(TurnedAway, message, refused.code, refused.reason)
        self.refuse(message, refused)

    def refuse(self, message: Message, refused: Refused) -> None:
        """Tell the sender that his message is refused, in words and as a status.

        That he is typing is nothing to be told of: it is of no use later, and nobody said it.
        """
        if message.flags & Flag.PRESENCE and refused.code is Code.OFFLINE:
            return
        state = State.EXPIRED if refused.code is Code.EXPIRED else State.REJECTED
        status = Status(code=refused.code, state=state, detail=refused.reason)
        self.tell(message, status)
        self._say(message, refused.reason, status)

    def require(self, user: str, wish: Wish) -> str:
        """See that policy grants a wish of a user's; the grant that does, "" if it is his role.

        Raises:
            Refused: it does not. Who may not even see a robot hears the same as of one that is not there.
        """
        verdict = self.directory.judge(user, wish)
        if verdict.granted:
            return verdict.rule
        self._note_denial(user, wish, verdict.reason)
        if not self.directory.sees(user, wish.to):
            self.directory.require(wish.to, user)
        raise Refused(Code.DENIED, verdict.reason)

    def _note_denial(self, user: str, wish: Wish, reason: str) -> None:
        """Have it in the audit, but for names that nobody has, which may be as long and many as one likes."""
        if wish.to != SYSTEM and self.directory.kind(wish.to) is None:
            return
        now, denial = time.monotonic(), (user, wish.action, wish.to, wish.command)
        if now - self._denials.get(denial, -DENIED_AGAIN_S) >= DENIED_AGAIN_S:
            if len(self._denials) >= MAX_DENIALS:
                self._denials.clear()
            self._denials[denial] = now
            self.store.audit(user, f"denied: {wish.action}", wish.to, reason)

    async def complete(self, to: str, line: str, user: str | None = None) -> list[Completion]:
        """What may follow a half-typed line of a user's to `to`, as the module that answers for it says."""
        if user is not None and not self.directory.sees(user, to):
            return []
        name = self.directory.owner(to) or ""
        module = self.modules.get(name)
        if module is None:
            return []
        try:
            found = module.on_complete(to, line)
            if isinstance(found, list):
                return found
            async with asyncio.timeout(COMPLETE_S):
                return await found
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's failure is its own
            self.chain.failed(name, "on_complete", error)
            return []

    async def show(self, user: str, instance: str) -> dict[str, Any]:
        """What a module instance shows of itself to a user.

        Raises:
            Refused: there is none of this name, or it fails.
        """
        module = self.modules.get(instance)
        if module is None:
            raise Refused(Code.BAD_ADDRESS, f"no module {instance[:40]!r} is loaded")
        try:
            shown = module.on_show(user)
            if not isinstance(shown, dict):
                async with asyncio.timeout(SHOW_S):
                    shown = await shown
            size = len(msgspec.json.encode(shown))
            if not isinstance(shown, dict) or size > MAX_SHOWN_BYTES:
                raise ValueError(f"a dictionary of {MAX_SHOWN_BYTES} bytes at most is expected")
        except Refused:
            raise
        except (Exception, SystemExit) as error:
            self.chain.failed(instance, "on_show", error)
            reason = str(error) or f"it does not answer within {SHOW_S:g} s"
            raise Refused(Code.FAILED, f"the module {instance} can't be shown: {reason}") from error
        return shown

    async def why(self, user: str, message_id: str) -> Explanation:
        """What became of a message, step by step, for somebody who may know.

        Args:
            user: who asks.
            message_id: its id, or ``~ROW``; "" for the last one that he sent.

        Raises:
            Refused: there is no such message of his, nor may he look at others'; or he asks too often.
        """
        self._questions.take(user)
        everybody = self.directory.allowed(user, "inspect")
        found = await self.store.explain(message_id, user, everybody=everybody)
        if found is None or not self._may_look_into(user, found):
            what = f"no message {message_id[:40]!r}" if message_id else "no message"
            raise Refused(Code.FAILED, f"you have sent or got {what}; `boardtalk history --ids` shows ids")
        return found

    def watch(
        self, session: Session, user: str, address: str, names: Sequence[str]
    ) -> dict[str, list[Sample]]:
        """Show what is measured there in a session of a user's from now on; what there was.

        Raises:
            Refused: nobody has this address, the user may not see it, or watches too much.
        """
        self.directory.require(address, user)
        self.require(user, Wish("see", address))
        self.series.watch(session, address, names)
        past = self.series.past(address)
        return {name: past[name] for name in names if name in past} if names else past

    def stopped(self, message: Message, text: str, status: Status) -> None:
        """Tell sender, history and audit of a stop that was carried out (or was not) past the hub."""
        self.witness.tell(Stopped, message, text, status)
        self.store.audit(message.sender, "stop", message.to, text)
        recorded = self.store.record(message)
        self.store.update(recorded.row, replace(status, detail=text))
        self._echo(recorded, None)
        self._say(message, text, status)
        self.tell(message, status)

    # Modules ----------------------------------------------------------------------------------

    def submit(self, instance: str, message: Message, status: Status | None) -> None:
        """Take a message from a module; it enters the chain behind that module."""
        if not message.flags & (Flag.TRANSIENT | Flag.PRESENCE):
            message = self.store.record(message, status)
        if message.id:
            self._module_sent[message.sender, message.id] = instance, message.row
            if len(self._module_sent) > MAX_REMEMBERED:
                self._module_sent.popitem(last=False)
        self._echo(message, None)
        self.witness.tell(Sent, instance, message, status)
        message = message.with_(accepted=time.monotonic())
        if self._early is None:
            self._enter(message, self.chain.behind(instance), status)
        else:
            self._early.append((instance, message, status))

    def tell(self, message: Message, status: Status) -> None:
        """Record a status change of a message and tell its sender."""
        if message.row:
            self.store.update(message.row, status)
        sent = self._module_sent.get((message.sender, message.id)) if message.id else None
        if sent is not None:
            self._call_status(sent[0], message, status)
            if self.directory.kind(message.sender) is not Kind.USER:
                return
        quiet = status.code < Code.DONE and not message.flags & Flag.DELIVERY_RECEIPT
        kind = self.directory.kind(message.to)
        if not message.id and quiet and (kind is None or kind.is_people):
            return
        name = message.id or f"~{message.row}"
        update = Update(message.sender, name, message.to, status, time.time(), message.row)
        if not self._unfinished.keeps(message.row, update):
            self.push(message.sender, update)

    def explain(self, instance: str, message: Message, what: str, detail: str) -> None:
        """Note a step of a message's way, for `why`."""
        if message.row:
            self.store.steps(
                message.row, [Step(time.time(), instance, what[:MAX_WHAT_CHARS], detail[:MAX_DETAIL_CHARS])]
            )

    def handed_over(self, recipient: str, message: Message) -> None:
        """Tell that a message has arrived."""
        self._receipts.handed_over(recipient, message)

    async def read(self, reader: str, sender: str, message_id: str, session: Session | None = None) -> None:
        """Take it from his front-end that somebody has read a message."""
        await self._marks.read(reader, sender, message_id, session)

    async def mark_read(self, reader: str, other: str, row: int, session: Session | None = None) -> None:
        """Take it from his front-end that somebody has read a conversation up to a row."""
        await self._marks.move(reader, other, row, session)

    async def conversations(self, user: str, limit: int) -> list[Conversation]:
        """With whom a user has talked, newest first, and how far he has read."""
        groups, read = self.directory.groups_of(user), await self._marks.of(user)
        return await self.store.conversations(user, groups=groups, read=read, limit=limit)

    def push(self, user: str, event: Event) -> None:
        """Queue an event for all sessions that show this user's."""
        self._sessions.push(user, event)

    def publish_presence(self, address: str, *, online: bool, state: str) -> None:
        """Show everybody who is to know how a robot or a user is."""
        self._sessions.show(Presence(address, online, state, self.directory.viewers(address)))

    def publish_holder(self, address: str, holder: str) -> None:
        """Show everybody who sees it who has a robot for himself."""
        self._sessions.show_holder(Held(address, holder), self.directory.viewers(address))

    def show_to(self, user: str, audience: Audience) -> None:
        """From now on, have these told whether a user is online; to the others he seems to leave."""
        self.publish_presence(user, online=False, state="")
        self.directory.show_to(user, audience)
        self.publish_presence(user, online=self.directory.is_online(user), state="")

    # Inside -----------------------------------------------------------------------------------

    async def _dispatch_committed(self) -> None:
        async for batch in self.store.committed():
            turns = Turns()
            for item in batch:
                await turns.over()
                self._behind_s = time.monotonic() - item.message.accepted - self._pulse.age_s()
                session = self._origins.pop(item.message.row, None)
                match item:
                    case Accepted(message):
                        self._echo(message, session)
                        self.tell(message, ACCEPTED)
                        self._enter(message, 0)
                    case Duplicate(message, row, status, answer):
                        self._repeat(message.with_(row=row), status, answer)
                    case Conflict(message):
                        self.refuse(
                            message.with_(row=0),
                            Refused(
                                Code.FAILED,
                                f"id {message.id!r} was used for another message: choose a new id",
                            ),
                        )
                    case NotStored(message, reason):
                        self.refuse(
                            message,
                            Refused(Code.FAILED, f"the gateway can't store messages: {reason}"),
                        )

    def _repeat(self, message: Message, status: Status | None, answer: Message | None) -> None:
        """Answer a duplicate as the original was answered, without doing it again."""
        status = status or ACCEPTED
        update = Update(message.sender, message.id, message.to, status, time.time(), message.row)
        self.push(message.sender, update)
        if answer:
            self.push(message.sender, Delivery(message.sender, answer, time.time(), status))
        elif status.code.failed:
            self._say(message, status.detail, status)

    def _enter(self, message: Message, start: int, status: Status | None = None) -> None:
        """Let a message into the chain, behind those of its conversation that still wait."""
        if self._is_hidden(message):
            self._refuse_unknown(message)
            return
        key = (message.sender, message.to)
        waiting = self._waiting.get(key) if self._waiting else None
        if waiting is None:
            trail: list[Passage] = []
            outcome = self.chain.run(message, start, trail)
            if outcome is None or isinstance(outcome, Message | Refused):
                self._leave(message, outcome, status, trail)
                return
            self._waiting[key] = deque()
            self._spawn(self._wait(key, message, outcome, status, trail), f"conversation {key[0]}→{key[1]}")
        elif len(waiting) >= self._most_waiting(message.to):
            self.refuse(
                message,
                Refused(Code.BUSY, f"{len(waiting)} messages to {message.to} wait already; try later"),
            )
        else:
            waiting.append((message, start, status))

    def _is_hidden(self, message: Message) -> bool:
        """Whether a user says something to a robot that he may not see, or to a name that may be one's."""
        directory = self.directory
        if directory.policy.roles or directory.kind(message.sender) is not Kind.USER:
            return False
        return not directory.sees(message.sender, message.to)

    def _refuse_unknown(self, message: Message) -> None:
        """Refuse it before any module sees it: whoever asks why finds nothing there that tells them apart."""
        try:
            self.require(message.sender, Wish("see", message.to))
        except Refused as refused:
            self.refuse(message, refused)

    def _may_look_into(self, user: str, found: Explanation) -> bool:
        """Whether a user may know a message's way, by the robot that it was for, or from."""
        ends = found.message.sender, found.message.to
        others = [each for each in ends if each != user]
        if not all(self.directory.sees(user, each) for each in others):
            return False
        robots = [each for each in others if self.directory.kind(each) is Kind.ROBOT]
        return user in ends or all(self.directory.allowed(user, "inspect", each) for each in robots)

    def _most_waiting(self, to: str) -> int:
        return MAX_WAITING_COMMANDS if self.directory.kind(to) is Kind.ROBOT else MAX_WAITING

    async def _wait(
        self,
        key: tuple[str, str],
        message: Message,
        outcome: Coroutine[Any, Any, Outcome],
        status: Status | None,
        trail: list[Passage],
    ) -> None:
        """Finish one message that waits for a module, then those that came behind it."""
        try:
            self._leave(message, await outcome, status, trail)
            waiting, turns = self._waiting[key], Turns()
            while waiting:
                await turns.over()
                message, start, status = waiting.popleft()
                trail = []
                result = self.chain.run(message, start, trail)
                if not (result is None or isinstance(result, Message | Refused)):
                    result = await result
                self._leave(message, result, status, trail)
        finally:
            del self._waiting[key]

    def _leave(
        self, original: Message, outcome: Outcome, status: Status | None, trail: list[Passage]
    ) -> None:
        """Note the way through the chain, and route what came out of it."""
        if original.row:
            self.store.steps(original.row, _steps(original, trail))
        if self.witness:
            name = original.id or f"~{original.row}"
            self.witness.tell(Passed, original.sender, original.to, original.row, _passages(trail), name)
        if outcome is None:
            kind = self.directory.kind(original.to)
            if original.row and kind is not None and kind.is_people:
                self.store.taken(original.row)  # or it would go through the modules again after a crash
            return
        if isinstance(outcome, Refused):
            self.refuse(original, outcome)
            return
        try:
            self._route(outcome, status)
        except Refused as refused:
            self.refuse(original, refused)
            return
        if original.row and outcome.to == original.to:
            self.store.arrived(original, outcome.body)

    def _echo(self, message: Message, session: Session | None) -> None:
        """Show the sender what he has said, but where he has said it."""
        if self._sessions.has(message.sender) and not message.flags & Flag.PRESENCE:
            replaced = self._row_replaced(message)
            self._sessions.echo(events.Sent(message.sender, message, time.time(), replaced), but=session)

    def _row_replaced(self, message: Message) -> int:
        if not message.flags & Flag.REPLACES:
            return 0
        return self._module_sent.get((message.sender, message.refid), ("", 0))[1]

    def _route(self, message: Message, status: Status | None) -> None:
        is_user = self.directory.kind(message.sender) is Kind.USER
        kind = self.directory.require(message.to, message.sender if is_user else None)
        if not kind.is_people:
            raise Refused(Code.OFFLINE, f"no module answers for {message.to!r} just now")
        if kind is Kind.USER:
            self._handover.deliver(message.to, message, status, self._row_replaced(message))
            return
        members = self.directory.members(message.to)
        if message.sender not in members and self.directory.kind(message.sender) is Kind.USER:
            raise Refused(Code.DENIED, f"{message.sender} is not a member of {message.to}")
        self._fan_out(message.with_(groupid=message.to), status)

    def _fan_out(self, message: Message, status: Status | None) -> None:
        """Deliver to each member of a group; it is refused only if none can have it."""
        members = self.directory.recipients(message.to, message.sender)
        refusals = []
        for member in members:
            try:
                self._handover.deliver(member, message, status, self._row_replaced(message))
            except Refused as refused:
                refusals.append(refused)
        if refusals and len(refusals) == len(members):
            raise refusals[0]

    def _say(self, message: Message, text: str, status: Status) -> None:
        """Tell the sender of a message something, as a message from the gateway."""
        answer = Message(sender=SYSTEM, to=message.sender, body=text, refid=message.id, aid=message.aid)
        self.push(message.sender, Delivery(message.sender, answer, time.time(), status))

    def _came(self, user: str) -> None:
        if not self.directory.is_online(user):
            self._announce(user, online=True)
            self._catch_up(user)

    def _went(self, user: str) -> None:
        if not self._sessions.shows(user):
            self._announce(user, online=False)

    def _catch_up(self, address: str | None) -> None:
        self._unfinished.catch_up(address)
        if self._handover.needs_to_catch_up(address):
            self._spawn(self._handover.catch_up(address), f"held for {address or 'all'}")

    def _announce(self, address: str, *, online: bool) -> None:
        self.directory.set_online(address, online=online)
        self.witness.tell(Came, address, online)
        self.publish_presence(address, online=online, state="")
        role = self.directory.role(address)
        if role is None:
            return
        user = User(address=address, online=online, role=role)
        for name, module in self.modules.items():
            self.notify(name, module.on_login, user)

    def _call_status(self, instance: str, message: Message, status: Status) -> None:
        if module := self.modules.get(instance):
            self.notify(instance, module.on_message_status, message, status)

    def notify(self, instance: str, callback: Any, *arguments: Any) -> None:
        """Run a module's callback whose result does not matter; its failure hurts nobody."""
        try:
            result = callback(*arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's failure is its own
            self.chain.failed(instance, callback.__name__, error)
            return
        if result is not None:
            self._spawn(
                self._contained(instance, callback.__name__, result), f"{instance} {callback.__name__}"
            )

    async def _contained(self, instance: str, callback: str, work: Awaitable[Any]) -> None:
        try:
            await work
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's failure is its own
            self.chain.failed(instance, callback, error)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run a task until it ends, at the latest until the hub does: a hung module holds up no end."""
        task = self._tasks.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)


def _steps(message: Message, trail: Sequence[Passage]) -> list[Step]:
    """How a message came in, and what the chain did with it."""
    clock = time.time() - time.perf_counter_ns() / 1e9
    steps = [
        Step(clock + each.ended_ns / 1e9, each.stage, each.verdict, _ms(each.ended_ns - each.began_ns))
        for each in trail
    ]
    if message.via:
        came = time.time() - (time.monotonic() - message.accepted)
        stored = clock + trail[0].began_ns / 1e9 if trail else time.time()
        steps[:0] = [Step(came, message.via, "came in"), Step(stored, SYSTEM, "on disk, enters the chain")]
    return steps


def _passages(trail: Sequence[Passage]) -> tuple[witness.Passage, ...]:
    """The same for who looks on."""
    return tuple(
        witness.Passage(each.stage, each.verdict, (each.ended_ns - each.began_ns) / 1e6) for each in trail
    )


def _ms(ns: int) -> str:
    return f"in {ns / 1e6:.3g} ms"
