"""What modules measure: told as it comes to who watches, with a recent past, and never in anybody's way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from boardtalk.events import Held, Presence, Values
from boardtalk.frontends import control
from boardtalk.frontends.client import Denied, GatewayClient
from boardtalk.hub.series import MAX_KEPT, MAX_TEXTS, Series
from boardtalk.sdk import CONSUMED, PASS, Contact, Kind, Message, Module, Refused, SeriesInfo, Verdict
from boardtalk.testing import bench
from tests.gateway.test_several_sessions import next_of, so_far
from tests.gateway.town import town


class Meter(Module):
    """Measures what it is told to, at the address `meter`."""

    name = "meter"

    def on_start(self) -> None:
        self.answers: list[object] = []
        known = (SeriesInfo(name="volts", unit="V", min=0, max=12), SeriesInfo(name="mood", text=True))
        self.context.register(Contact(address="meter", kind=Kind.ROBOT, online=True, series=known))

    def on_message(self, message: Message) -> Verdict:
        if message.to != "meter":
            return PASS
        values: dict[str, float | str] = {}
        for word in message.body.split():
            name, _, value = word.partition("=")
            try:
                values[name] = float(value)
            except ValueError:
                values[name] = value
        try:
            self.answers.append(self.context.publish("meter", values, at=100.0 + len(self.answers)))
        except (ValueError, Refused) as error:
            self.answers.append(error)
        return CONSUMED


async def test_a_module_tells_what_it_measures_in_one_call() -> None:
    async with bench(Meter) as gateway:
        for text in ("volts=7.5 mood=fine", "volts=7.25", ""):
            gateway.say("alice", "meter", text or "volts=nan")
        await gateway._until(lambda: len(gateway.module.answers) == 3, lambda: "")  # type: ignore[attr-defined]
        *fine, wrong = gateway.module.answers  # type: ignore[attr-defined]
        assert fine == [False, False]
        assert isinstance(wrong, ValueError)
        assert gateway.series("meter") == {
            "volts": [(100.0, 7.5), (101.0, 7.25)],
            "mood": [(100.0, "fine")],
        }


async def test_nobody_tells_what_is_measured_at_others_addresses() -> None:
    async with bench(Meter) as gateway:
        with pytest.raises(Refused, match="no address of this module"):
            gateway.module.context.publish("bob", {"volts": 1.0})


async def test_who_watches_gets_the_past_and_then_what_comes(tmp_path: Path) -> None:
    async with town(tmp_path) as hub, GatewayClient.connect(tmp_path, "alice") as alice:
        hub.directory.register("meters", Contact(address="meter", kind=Kind.ROBOT))
        hub.series.publish("meter", {"volts": 1.0, "amps": 5.0}, at=10.0)
        watching = await alice.ask(control.Watch("meter", ["volts"]), control.Watching)
        assert watching.past == {"volts": [(10.0, 1.0)]}
        assert hub.series.publish("meter", {"volts": 2.0, "amps": 6.0}, at=11.0)
        assert await next_of(alice, Values) == Values("meter", {"volts": [(11.0, 2.0)]})
        alice.unwatch("meter")
        await so_far(alice, Values)
        assert not hub.series.publish("meter", {"volts": 3.0}, at=12.0)


async def test_it_ends_with_the_connection(tmp_path: Path) -> None:
    async with town(tmp_path) as hub:
        hub.directory.register("meters", Contact(address="meter", kind=Kind.ROBOT))
        async with GatewayClient.connect(tmp_path, "alice") as alice:
            await alice.ask(control.Watch("meter"), control.Watching)
            assert hub.series.publish("meter", {}, at=None)
        while hub.series.publish("meter", {}, at=None):
            await asyncio.sleep(0.01)


async def test_nobody_watches_what_is_not_there(tmp_path: Path) -> None:
    async with town(tmp_path), GatewayClient.connect(tmp_path, "alice") as alice:
        with pytest.raises(Denied, match="there is no 'meter' here"):
            await alice.ask(control.Watch("meter"), control.Watching)


async def test_much_comes_in_few_events_and_of_too_much_the_newest(tmp_path: Path) -> None:
    async with town(tmp_path) as hub, GatewayClient.connect(tmp_path, "alice") as alice:
        hub.directory.register("meters", Contact(address="meter", kind=Kind.ROBOT))
        await alice.ask(control.Watch("meter"), control.Watching)
        for number in range(1000):
            hub.series.publish("meter", {"n": float(number)}, at=float(number))
        values = await next_of(alice, Values)
        assert [value for _, value in values.series["n"]] == [float(number) for number in range(950, 1000)]
        assert await so_far(alice, Values) == []


def test_the_past_is_bounded_whatever_comes() -> None:
    series = Series()
    for number in range(4 * MAX_KEPT):
        series.publish("meter", {"fast": 1.0, "text": "x" * 1000}, at=number / 4)
    past = series.past("meter")
    assert MAX_KEPT <= len(past["fast"]) <= MAX_KEPT * 2
    assert past["fast"][-1][0] >= MAX_KEPT - 1
    assert {len(str(value)) for _, value in past["text"]} == {400}
    assert len(past["text"]) == MAX_TEXTS
    for number in range(126):
        series.publish("meter", {f"other {number}": 1.0}, at=None)
    with pytest.raises(Refused, match="128 series"):
        series.publish("meter", {"one more": 1.0}, at=None)


async def test_everybody_sees_who_has_a_robot_and_that_alone_is_no_news_of_it(tmp_path: Path) -> None:
    async with bench(Meter) as gateway:
        robot = gateway.contact("meter")
        assert robot is not None
        with gateway._hub.attach("bob") as session:
            gateway.module.context.register(replace(robot, holder="alice"))
            gateway.module.context.register(replace(robot, holder="alice"))
            gateway.module.context.register(replace(robot, state="latched"))
            batch = await anext(session.events())
        told = [(each.address, each.holder) for each in batch if isinstance(each, Held)]
        states = [each.state for each in batch if isinstance(each, Presence)]
        assert told == [("meter", "alice"), ("meter", "")]
        assert states == ["", "latched"]
