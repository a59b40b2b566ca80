"""Live control of the real rover over MQTT: set-points move it, and it stands when they end."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from .people import Join, Person
from .rig import Gateway, Json, until


class Caller:
    """A person at an MQTT client who drives."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.call = ""
        person.subscribe(f"chat/{person.address}/calls")

    def open(self, **more: str) -> str:
        """Ask for a call; how it went."""
        seen = len(self.person.statuses)
        self.person.say({"op": "open", "to": "rover", **more}, topic="call")
        change = self.person.wait(
            lambda: next(
                (each for each in self.news(seen) if each["state"] in {"answered", "refused", "busy"}), None
            ),
            "an answer to the call",
        )
        self.call = str(change["call"])
        return str(change["state"])

    def news(self, since: int = 0) -> list[Json]:
        """What was told about calls."""
        return [each for each in self.person.statuses[since:] if "call" in each]

    def steer(self, values: str, seconds: float = 0.0) -> None:
        """Hold the stick like this for a while."""
        end = time.monotonic() + seconds
        while True:
            self.person.say({"op": "set", "call": self.call, "values": values}, topic="call")
            if time.monotonic() >= end:
                return
            time.sleep(0.05)

    def hang_up(self) -> None:
        self.person.say({"op": "end", "call": self.call}, topic="call")

    def end(self) -> str:
        """Why the call ended, once it has."""
        return str(
            self.person.wait(
                lambda: next(
                    (each for each in self.news() if (each["call"], each["state"]) == (self.call, "ended")),
                    None,
                ),
                "the end of the call",
            ).get("reason")
        )

    def where(self) -> str:
        return self.person.do("position").body

    def stands(self) -> bool:
        """Whether it comes to a stand, which takes the chassis a moment, and stays there."""
        readings = [""]

        def still() -> bool:
            readings.append(self.where())
            time.sleep(0.2)
            return readings[-1] == readings[-2]

        return until(still, "it stands") and self.where() == readings[-1]


@pytest.fixture
def caller(alice: Person) -> Iterator[Caller]:
    caller = Caller(alice)
    yield caller
    caller.hang_up()


def test_set_points_drive_the_rover_until_the_caller_hangs_up(caller: Caller) -> None:
    before = caller.where()
    assert caller.open() == "answered"
    caller.steer("x=0 y=60", seconds=0.5)
    moved = caller.where()
    caller.hang_up()
    assert caller.end() == "alice hung up"
    assert before != moved
    assert caller.stands()


def test_when_the_set_points_cease_the_rover_stands_and_the_call_ends(caller: Caller) -> None:
    caller.open()
    caller.steer("x=0 y=60", seconds=0.3)
    assert caller.end() == "alice fell silent"
    assert caller.stands()


def test_c12_a_set_point_that_comes_after_the_lease_ends_the_call_and_moves_nothing(caller: Caller) -> None:
    caller.open()
    caller.steer("x=0 y=60", seconds=0.3)
    time.sleep(0.8)  # the hand is off for longer than the lease
    caller.steer("x=0 y=60", seconds=0.1)
    assert caller.end() == "no set-point came in time, and rover has stopped"
    assert caller.stands()


def test_a_stop_ends_the_call_and_nobody_drives_before_rearm(caller: Caller, alice: Person) -> None:
    caller.open()
    caller.steer("x=0 y=60", seconds=0.2)
    alice.say("rover: stop")
    assert caller.end() == "rover is latched"
    assert caller.open() == "refused"
    assert "rearm" in str(caller.news()[-1]["reason"])
    alice.do("rearm")
    assert caller.open() == "answered"


def test_c11_only_one_drives_at_a_time(demo: Gateway, join: Join, caller: Caller) -> None:
    bob = Caller(join(demo, "bob"))
    caller.open()
    assert bob.open() == "busy"
    assert bob.news()[-1]["reason"] == "alice controls rover just now"
    bob.call = caller.call
    bob.steer("x=0 y=60")
    bob.hang_up()
    caller.hang_up()
    caller.end()
    assert bob.open() == "answered"
    bob.hang_up()
    bob.end()


def test_who_wants_the_rover_asks_and_has_it_when_it_is_handed_over(
    demo: Gateway, join: Join, caller: Caller
) -> None:
    bob = Caller(join(demo, "bob"))
    caller.open()
    bob.person.say({"op": "ask", "to": "rover"}, topic="call")
    wish = caller.person.wait(
        lambda: next((each for each in caller.person.statuses if each.get("by") == "bob"), None), "a wish"
    )
    assert wish["to"] == "rover"
    caller.person.say({"op": "hand over", "ask": wish["ask"], "yes": True}, topic="call")
    decided = bob.person.wait(
        lambda: next((each for each in bob.person.statuses if "granted" in each), None), "a decision"
    )
    assert (decided["ask"], decided["granted"]) == (wish["ask"], True)
    assert caller.end() == "alice hands it over to bob"
    assert bob.open() == "answered"
    bob.hang_up()
    bob.end()


def test_c11_while_somebody_steers_others_ask_and_stop_but_move_nothing(
    demo: Gateway, join: Join, caller: Caller
) -> None:
    bob = join(demo, "bob")
    caller.open()
    caller.steer("x=0 y=20", seconds=0.2)
    for body in ("forward 20", "horn", "rearm"):
        refused = bob.do(body)
        assert refused.state == "rejected"
        assert refused.body == "alice has rover just now; `rover: take over` stops it and gives it to you"
    caller.steer("x=0 y=20", seconds=0.2)
    assert bob.do("battery").state == "done"
    bob.say("rover: stop")
    assert caller.end() == "rover is latched"


def test_c11_while_a_motion_of_somebody_s_runs_nobody_else_calls_or_moves_it(
    demo: Gateway, alice: Person, join: Join
) -> None:
    bob = Caller(join(demo, "bob"))
    alice.do("rearm")
    name = alice.begin("forward 100")
    assert bob.open() == "refused" or bob.news()[-1]["state"] == "busy"
    assert "alice has rover just now" in str(bob.news()[-1]["reason"])
    assert bob.person.do("forward 1").state == "rejected"
    assert alice.outcome(name).state == "done"
    assert bob.person.do("forward 1").state == "done"


def test_c11_who_takes_over_stops_it_first_and_has_it_then(
    demo: Gateway, join: Join, caller: Caller, alice: Person
) -> None:
    bob = Caller(join(demo, "bob"))
    alice.do("rearm")
    caller.open()
    caller.steer("x=0 y=20", seconds=0.3)
    taken = bob.person.do("take over")
    assert taken.state == "done"
    assert taken.body.startswith("stopped, and yours")
    assert caller.end() == "bob takes over"
    assert caller.stands()
    assert "rearm" in bob.person.do("forward 1").body
    for body in ("rearm", "forward 1"):
        assert alice.do(body).body.startswith("bob has rover just now")
    assert bob.person.do("rearm").state == "done"
    assert bob.person.do("forward 1").state == "done"
    assert alice.do("forward 1").state == "done", "he has moved it: it is anybody's again"


def test_c11_a_viewer_takes_nothing_over(demo: Gateway, join: Join, caller: Caller) -> None:
    carol = join(demo, "carol", "viewer")
    caller.open()
    assert "needs the role operator" in carol.do("take over").body
    caller.steer("x=0 y=20", seconds=0.2)
    caller.hang_up()
    assert caller.end() == "alice hung up"


def test_a_viewer_may_not_drive(demo: Gateway, join: Join) -> None:
    carol = Caller(join(demo, "carol", "viewer"))
    assert carol.open() == "refused"
    assert "carol may not drive rover: `drive` needs the role operator" in str(carol.news()[-1]["reason"])


@pytest.mark.parametrize("values", ["x=0 y=600", "z=1", "x=0 y=fast", "x=1", ""])
def test_values_that_do_not_fit_end_the_call_with_the_reason(caller: Caller, values: str) -> None:
    caller.open()
    caller.steer(values)
    assert caller.end()
    assert caller.open() == "answered"


def test_an_unknown_control_is_named(caller: Caller) -> None:
    assert caller.open(control="drvie") == "refused"
    assert "did you mean drive?" in str(caller.news()[-1]["reason"])


@pytest.mark.parametrize("noise", ["", "{", '{"op": "fly"}', '{"op": "open"}', "x" * 5000])
def test_noise_on_the_topic_is_answered_in_words(caller: Caller, alice: Person, noise: str) -> None:
    since = len(alice.inbox)
    alice.say(noise, topic="call")
    alice.hears("call", since)
    assert caller.open() == "answered"
