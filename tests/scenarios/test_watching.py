"""The simulated rover, watched and driven from two places at `control.sock`: what a page shows of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

from boardtalk.events import CallAsked, CallDecided, Event, Held, Sent, Update, Values
from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient

from .people import Person
from .rig import Gateway

E = TypeVar("E", bound=Event)


async def told(client: GatewayClient, kind: type[E], fits: Callable[[E], bool] = lambda _: True) -> E:
    async with asyncio.timeout(20):
        async for event in client.events():
            if isinstance(event, kind) and fits(event):
                return event
    raise AssertionError


async def hold(client: GatewayClient, call: str) -> None:
    """Keep the stick still."""
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            client.set_point(call, "x=0 y=0")
            await asyncio.sleep(0.1)


async def test_the_rover_is_watched_driven_and_handed_over(demo: Gateway) -> None:
    for name in ("ann", "ben"):
        demo.token(name)
    async with (
        GatewayClient.connect(demo.state, "ann") as ann,
        GatewayClient.connect(demo.state, "ann") as phone,
        GatewayClient.connect(demo.state, "ben") as ben,
    ):
        contacts = (await ann.ask(control.Contacts(), control.ContactList)).contacts
        [rover] = [each for each in contacts if each.address == "rover"]
        [drive] = rover.controls
        assert [(each.name, each.unit, each.min, each.max) for each in drive.args] == [
            ("x", "%", -100, 100),
            ("y", "%", -100, 100),
        ]
        assert {"firmware", "port", "uid"} <= rover.details.keys()
        volts = next(each for each in rover.series if each.name == "battery")
        assert volts.unit == "V"

        await ann.ask(control.Watch("rover"), control.Watching)
        battery = await told(ann, Values, lambda each: "battery" in each.series)
        assert 5 < float(battery.series["battery"][-1][1]) < 10
        line = await told(ann, Values, lambda each: {"link.rtt", "link.loss"} <= each.series.keys())
        assert 0 <= float(line.series["link.loss"][0][1]) <= 100
        later = await ben.ask(control.Watch("rover", ["battery"]), control.Watching)
        assert later.past["battery"]

        name = ann.say("rover", "position")
        assert (await told(phone, Sent)).message.id == name
        done = await told(ann, Update, lambda each: each.message_id == name and each.status.state.terminal)
        entries = (await phone.ask(control.History("rover", after=done.row - 1), control.Past)).entries
        assert entries[0]["row"] == done.row
        assert entries[1]["refid"] == name

        call = (await ann.ask(control.OpenCall("rover"), control.CallOpened)).call
        stick = asyncio.create_task(hold(ann, call))
        assert (await told(ben, Held, lambda each: each.holder == "ann")).address == "rover"
        asked = await ben.ask(control.AskCall("rover"), control.Asked)
        assert (await told(ann, CallAsked)).ask == asked.ask
        ann.hand_over(asked.ask, yes=True)
        assert (await told(ben, CallDecided)).granted
        stick.cancel()
        call = (await ben.ask(control.OpenCall("rover"), control.CallOpened)).call
        await told(ann, Held, lambda each: each.holder == "ben")
        ben.hang_up(call)
        await told(ann, Held, lambda each: each.holder == "")


async def test_what_one_says_over_mqtt_is_shown_where_he_looks_on(demo: Gateway, alice: Person) -> None:
    async with GatewayClient.connect(demo.state, alice.address) as page:
        alice.say({"to": alice.address, "body": "note to myself", "id": "note"})
        message = (await told(page, Sent)).message
        assert (message.body, message.id) == ("note to myself", "note")
        assert message.row > 0
