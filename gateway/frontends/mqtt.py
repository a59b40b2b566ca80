"""The MQTT door: takes what users publish, and publishes what they shall get.

The broker guarantees that only a user himself publishes to ``chat/<user>/…``: the topic names the sender.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import structlog

from boardtalk import envelope
from boardtalk.broker import BrokerError
from boardtalk.broker.client import Publisher, Subscriber
from boardtalk.events import CallAsked, CallDecided, CallUpdate, Delivery, Presence, Update
from boardtalk.runtime.turns import Turns
from boardtalk.sdk import SYSTEM, Code, Flag, Kind, Message, Refused
from boardtalk.sdk.mqtt.packets import Will

if TYPE_CHECKING:
    from boardtalk.broker import Broker
    from boardtalk.events import Event
    from boardtalk.frontends.intake import Intake
    from boardtalk.hub.calls import Calls
    from boardtalk.hub.hub import Hub
    from boardtalk.hub.sessions import Session
    from boardtalk.sdk.mqtt.packets import Publish

OUT: Final = {"chat/+/out": 1}
READ: Final = {"chat/+/read": 1}
STOP: Final = {"chat/+/stop": 0}
"""QoS 0: with QoS 1 nats-server would hand a stop over only when it is on disk."""
CALL: Final = {"chat/+/call": 0}
"""A connection of its own: set-points must not stand in the way of a stop."""
LOOK_EVERY_S: Final = 0.5
"""Between two looks who listens at the broker."""
LOOK_AGAIN_S: Final = 0.05
"""… if a message is for somebody who did not at the last one."""
PUBLISHED: Final = "presence at the broker"
"""Under this name, which no module can have, the store keeps whose presence stands there."""
OPEN_TIMEOUT_S: Final = 2.0
"""A broker of our own is there at once; one that somebody else runs may be away."""

log = structlog.get_logger()


class MqttDoor:
    """Open while the context lasts; outlives restarts of the broker."""

    def __init__(self, broker: Broker, hub: Hub, intake: Intake, calls: Calls) -> None:
        endpoint = broker.endpoint
        self._broker = broker
        self._hub = hub
        self._intake = intake
        self._calls = calls
        self._callers: dict[str, object] = {}
        """What stands for a user's connections, which the broker hides from us."""
        self._messages = Subscriber(endpoint, "chat", OUT)
        self._receipts = Subscriber(endpoint, "read", READ)
        self._stops = Subscriber(endpoint, "stop", STOP)
        self._live = Subscriber(endpoint, "call", CALL)
        self._publisher = Publisher(endpoint, "hub", Will(*_presence(Presence(SYSTEM, online=False))))
        self._hidden: set[str] = set()
        """Who seems to be away to those who are not to know."""
        self._published: set[str] = set()
        """Whose presence stands at the broker, also from earlier runs."""
        self._session: Session | None = None
        self._attached = asyncio.Event()
        self._caught_up = asyncio.Event()
        """Everything that the hub has said so far is on its way."""
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open, and wait a moment for the broker; the gateway works without it too."""
        self._published = {*await self._hub.store.notes(PUBLISHED)}
        async with AsyncExitStack() as stack:
            for session in self._connections:
                await stack.enter_async_context(session)
            self._tasks = await stack.enter_async_context(asyncio.TaskGroup())
            self._running = [
                self._tasks.create_task(work, name=f"mqtt {name}")
                for name, work in (
                    ("messages", self._take_messages()),
                    ("receipts", self._take_receipts()),
                    ("stops", self._take_stops()),
                    ("calls", self._take_calls()),
                    ("events", self._publish_events()),
                    ("presence", self._publish_presence()),
                )
            ]
            with suppress(TimeoutError):
                async with asyncio.timeout(OPEN_TIMEOUT_S):
                    await self.connected()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._running:
            task.cancel()
        await self._stack.aclose()

    async def connected(self) -> None:
        """Wait until what users say is heard."""
        for session in self._connections:
            await session.connected()

    async def board_left(self, name: str) -> None:
        """Say that a board is gone that was shut out: the broker may not publish its last will any more."""
        with suppress(TimeoutError):  # without a broker it is gone anyway
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self._publisher.publish(f"boards/{name}/status", b"offline", retain=True)

    @property
    def _connections(self) -> tuple[Publisher | Subscriber, ...]:
        return self._publisher, self._messages, self._receipts, self._stops, self._live

    async def _take_messages(self) -> None:
        async for batch in self._messages.messages():
            await self._intake.room()
            await self._caught_up.wait()  # who talks faster than the broker takes the answers has to wait
            turns = Turns()
            for message in batch:
                await turns.over()
                self._take(message)

    def _take(self, message: Publish) -> None:
        user = _user(message.topic)
        if message.retain:
            self._refuse(user, "a retained message is never acted on: publish it again without `retain`")
        elif message.dup and not envelope.claimed_id(message.payload):
            if not self._intake.stop_unread(user, message.payload):
                self._refuse(
                    user, "this may be a repetition, and without an id nobody can tell: say it again"
                )
        else:
            self._intake.receive(user, message.payload, "mqtt")

    async def _take_receipts(self) -> None:
        async for batch in self._receipts.messages():
            for message in batch:
                user = _user(message.topic)
                try:
                    receipt = envelope.read_receipt(message.payload)
                except Refused as refused:
                    self._refuse(user, refused.reason)
                else:
                    await self._hub.marks.read(user, receipt.sender, receipt.id)

    async def _take_stops(self) -> None:
        async for batch in self._stops.messages():
            for message in batch:
                if not message.retain:
                    self._intake.stop(_user(message.topic), message.payload)

    async def _take_calls(self) -> None:
        async for batch in self._live.messages():
            for message in batch:
                if not message.retain:
                    self._take_call(_user(message.topic), message.payload)

    def _take_call(self, user: str, payload: bytes) -> None:
        caller = self._callers.setdefault(user, object())
        try:
            match envelope.read_call(payload):
                case envelope.OpenCall(to=to, control=control):
                    self._tasks.create_task(self._open_call(caller, user, to, control), name="call")
                case envelope.SetPoint(call=call, values=values):
                    self._calls.set_point(caller, call, values)
                case envelope.HangUp(call=call):
                    self._calls.hang_up(caller, call)
                case envelope.AskCall(to=to):
                    self._calls.ask(user, to)
                case envelope.HandOver(ask=ask, yes=yes):
                    self._calls.answer(user, ask, yes=yes)
        except Refused as refused:
            self._refuse(user, refused.reason)

    async def _open_call(self, caller: object, user: str, to: str, control: str) -> None:
        try:
            await self._calls.open(caller, user, to, control)
        except Refused as refused:
            self._refuse(user, refused.reason)

    def _refuse(self, user: str, reason: str) -> None:
        self._hub.turn_away(Message(sender=user, to=SYSTEM, body=""), Refused(Code.DENIED, reason))

    async def _publish_events(self) -> None:
        while True:
            with self._hub.attach(None, await self._listeners()) as session:
                has_lost, self._session = self._session is not None, session
                if has_lost:
                    self.show_all()
                self._attached.set()
                watch = self._tasks.create_task(self._watch(session), name="mqtt listeners")
                self._caught_up.set()
                try:
                    async for batch in session.events():
                        self._caught_up.clear()
                        for event in batch:
                            await self._publish(event, session)
                        self._caught_up.set()
                finally:
                    watch.cancel()
                    await asyncio.wait({watch})
            log.warning("broker away or too slow: events for MQTT clients were dropped")

    async def _watch(self, session: Session) -> None:
        """See who comes to the broker and leaves it, as long as it tells; sooner if a message waits."""
        failed = False
        while session.listeners is not None:
            await asyncio.sleep(LOOK_AGAIN_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S - LOOK_AGAIN_S):
                    await session.missed.wait()
            session.missed.clear()
            found = await self._listeners()
            if found or failed:
                self._hub.listen(session, found or frozenset())
            failed = not found  # once may be for want of time

    async def _listeners(self) -> frozenset[str] | None:
        """Who listens at the broker; nobody while it is away; None: it never tells."""
        try:
            found = await self._broker.listeners()
        except BrokerError as error:
            log.debug("broker does not say who listens", reason=str(error))
            return frozenset()
        return found if found is None else frozenset(filter(self._hub.directory.role, found))

    async def _publish_presence(self) -> None:
        """Say who is there after each connection: the broker may have forgotten, or others have changed."""
        await self._attached.wait()
        number = 0
        while True:
            number = await self._publisher.connected(after=number)
            await self.connected()
            self._show(Presence(SYSTEM, online=True))
            self.show_all()

    def show_all(self) -> None:
        """Say who is there, and clear what stands at the broker of those whom nobody knows any more.

        It goes the way of all news: what changes from now on comes behind it.
        """
        self._hidden.clear()
        known = {contact.address: contact for contact in self._hub.directory.contacts()}
        for address in self._published - known.keys():
            self._show(Presence(address, online=False))
        for address, contact in known.items():
            if address != SYSTEM:
                viewers = self._hub.directory.viewers(address)
                self._show(Presence(address, contact.online, contact.state, viewers))

    def _show(self, presence: Presence) -> None:
        if self._session is not None:
            self._session.push(presence)

    async def _publish(self, event: Event, session: Session) -> None:
        match event:
            case Delivery():
                topic, payload = f"chat/{event.recipient}/in", envelope.write_message(event)
                if event.message.expiry == 0 or event.message.flags & Flag.TRANSIENT:
                    await self._publisher.publish_once(topic, payload)
                    session.handed_over(event)
                else:
                    await self._publisher.publish(topic, payload, done=partial(session.handed_over, event))
            case Update():
                await self._publisher.publish(f"chat/{event.recipient}/status", envelope.write_status(event))
            case CallUpdate() | CallAsked() | CallDecided():
                await self._publisher.publish_once(
                    f"chat/{event.recipient}/calls", envelope.write_call(event)
                )
            case Presence():
                await self._publish_here(event)

    async def _publish_here(self, presence: Presence) -> None:
        if presence.viewers is None:
            self._hidden.discard(presence.address)
            await self._retain(presence)
            return
        if self._hub.directory.kind(presence.address) in (None, Kind.ROBOT):
            await self._forget(presence.address)
        elif presence.address not in self._hidden:  # once: that it is said again would tell something too
            self._hidden.add(presence.address)
            await self._retain(Presence(presence.address, online=False))
        topic, payload = _presence(presence)
        for viewer in presence.viewers:
            await self._publisher.publish(f"chat/{viewer}/{topic}", payload)

    async def _retain(self, presence: Presence) -> None:
        """Have the broker keep it; of somebody whom nobody knows, nothing."""
        address, (topic, payload) = presence.address, _presence(presence)
        if address == SYSTEM:
            await self._publisher.publish(topic, payload, retain=True)
        elif presence.state or self._hub.directory.kind(address) is not None:
            if address not in self._published:
                self._published.add(address)
                self._hub.store.note(PUBLISHED, address, b"true")
            await self._publisher.publish(topic, payload, retain=True)
        else:
            await self._forget(address)

    async def _forget(self, address: str) -> None:
        """Have nothing stand at the broker: nobody has this name, or not everybody may know of the robot."""
        if address in self._published:
            self._published.discard(address)
            forget = partial(self._hub.store.note, PUBLISHED, address, None)
            await self._publisher.publish(f"presence/{address}", b"", retain=True, done=forget)


def _presence(presence: Presence) -> tuple[str, bytes]:
    return f"presence/{presence.address}", envelope.write_presence(presence)


def _user(topic: str) -> str:
    """The user of ``chat/<user>/…``."""
    return topic.split("/", 2)[1]
