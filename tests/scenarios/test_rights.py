"""Who may what with the rover, on each way in: whoever comes by another one may no more."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Self

import pytest

from .people import Join, Person
from .rig import DEADLINE_S, Gateway, Json, local_user, until
from .test_calls import Caller

RIGHTS = """policy {
    roles = no
}
grant drivers {
    users = dora
    robots = rov*
    may = query, motion, drive, rearm
    limits = distance <= 5, x <= 50, y <= 50
}
grant horn {
    users = crew
    robots = rover
    commands = horn
}
group crew {
    members = lena
    owner = nils
}
"""
PEOPLE = ("dora", "lena", "nils")
"""Dora drives, slowly; Lena may use the horn and so see it; Nils nothing."""
ERRANDS = '''
from boardtalk.sdk import CONSUMED, PASS, Contact, Kind, Message, Module

class Errands(Module):
    """Says to the rover what it is told, in the name of who told it: at once, or by a timer."""
    name = "errands"
    def on_start(self):
        self.context.register(Contact(address="errands", kind=Kind.SERVICE, online=True))
    def on_message(self, message):
        if message.to != "errands":
            return PASS
        when, _, text = message.body.partition(" ")
        told = Message(sender=message.sender, to="rover", body=text)
        self.context.after(0.0 if when == "now" else 0.05, lambda: self.context.send(told))
        return CONSUMED
'''
TOO_FAR = "grant drivers (CONF:4) says distance <= 5, and it is 6"
UNKNOWN = "there is no 'rover' here"


class Local:
    """Somebody at `control.sock`: as a page asks for a person, or as the owner of the socket acts for one."""

    def __init__(self, gateway: Gateway, user: str, *, as_person: bool) -> None:
        self._door = socket.socket(socket.AF_UNIX)
        self._door.settimeout(DEADLINE_S)
        self._door.connect(str(gateway.state / "control.sock"))
        self._lines = self._door.makefile()
        self._say(op="login", user=user, as_person=as_person)
        self.heard("welcome")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._door.close()

    def _say(self, **request: object) -> None:
        self._door.sendall(json.dumps(request).encode() + b"\n")

    def heard(self, *kinds: str, fits: Callable[[Json], bool] = lambda _: True) -> Json:
        """The next thing of these kinds that the gateway says; {}: it hung up."""
        for line in self._lines:
            said: Json = json.loads(line)
            if said["type"] in kinds and fits(said):
                return said
        return {}

    def ask(self, kind: str, **request: object) -> Json:
        """The answer, or the refusal."""
        self._say(**request)
        return self.heard(kind, "failure")

    def do(self, body: str, to: str = "rover") -> str:
        """Say something; the answer."""
        name = uuid.uuid4().hex
        self._say(op="send", payload=json.dumps({"to": to, "body": body, "id": name}))
        answer = self.heard("message", fits=lambda each: each["message"].get("refid") == name)
        return str(answer["message"]["body"])

    def say(self, text: str) -> None:
        """Say something to whose answer nobody listens here."""
        self._say(op="send", payload=text)


@pytest.fixture(scope="module")
def town(demo: Gateway) -> Gateway:
    """The demo with these rules, this module, and these people, who are operators."""
    for each in PEOPLE:
        demo.token(each, "operator")
    for folder in ("extra", "conf.d"):
        (demo.state / folder).mkdir()
    (demo.state / "extra" / "errands.py").write_text(ERRANDS)
    conf = demo.state / "gateway.conf"  # what a module sends enters the chain behind it: before the bridge
    conf.write_text(f"module_folders = {demo.state / 'extra'}\nmodule errands {{\n}}\n{conf.read_text()}")
    (demo.state / "conf.d" / "rights.conf").write_text(RIGHTS)
    reloaded = demo.cli("reload")
    assert not reloaded.code, reloaded.text
    return demo


@pytest.fixture
def people(town: Gateway, join: Join) -> dict[str, Person]:
    return {name: join(town, name) for name in PEOPLE}


def by_mqtt(town: Gateway, person: Person, text: str) -> str:
    return person.do(text).body


def by_page(town: Gateway, person: Person, text: str) -> str:
    with Local(town, person.address, as_person=True) as page:
        return page.do(text)


def by_owner(town: Gateway, person: Person, text: str) -> str:
    with Local(town, person.address, as_person=False) as owner:
        return owner.do(text)


def by_module(town: Gateway, person: Person, text: str) -> str:
    return _errand(person, f"now {text}")


def by_timer(town: Gateway, person: Person, text: str) -> str:
    return _errand(person, f"later {text}")


def _errand(person: Person, text: str) -> str:
    since = len(person.inbox)
    person.say({"to": "errands", "body": text})
    return str(person.hears("", since)["body"])


ROUTES = (by_mqtt, by_page, by_owner, by_module, by_timer)
MAY = [
    ("dora", "forward 5", "x "),
    ("dora", "forward 6", f"dora may not tell rover to forward: {TOO_FAR}"),
    ("dora", "forward 0.06 m", TOO_FAR),
    ("dora", "battery", "V"),
    ("dora", "horn 0.1", "dora may not tell rover to horn: no grant gives dora `action` there"),
    ("lena", "horn 0.1", ""),
    ("lena", "forward 1", "lena may not tell rover to forward: no grant gives lena `motion` there"),
    ("lena", "rearm", "lena may not re-arm rover: no grant gives lena `rearm` there"),
    ("lena", "take over", "lena may not move rover: no grant gives lena `motion` there"),
    ("nils", "forward 1", UNKNOWN),
    ("nils", "help", UNKNOWN),
    ("nils", "rearm", UNKNOWN),
]


@pytest.mark.parametrize("route", ROUTES)
def test_s11_each_way_in_knows_the_same_rules(
    town: Gateway, people: dict[str, Person], route: Callable[[Gateway, Person, str], str]
) -> None:
    people["dora"].do("rearm")
    conf = town.state / "conf.d" / "rights.conf"
    for name, text, expected in MAY:
        told = route(town, people[name], text)
        assert expected.replace("CONF", str(conf)) in told, (name, text)
        assert (UNKNOWN in told) == (expected == UNKNOWN), (name, text)


def test_s11_a_robot_that_one_may_not_see_is_like_one_that_is_not_there(
    town: Gateway, people: dict[str, Person]
) -> None:
    nils = people["nils"]
    nils.subscribe("presence/rover")
    nils.subscribe("boards/rover/state")
    heard = len(nils.statuses)
    with Local(town, "nils", as_person=True) as page, Local(town, "lena", as_person=True) as other:
        for to in ("rover", "dodo"):
            assert page.do("forward 1", to).replace(to, "X") == page.do("forward 1", "zebra").replace(
                "zebra", "X"
            )
            page.say(f"{to}: forward 1")  # without an id
            told = page.heard("status", fits=lambda each: each["message_id"].startswith("~"))
            assert told["status"]["state"] == "rejected"
            assert page.ask("completions", op="complete", to=to, line="for")["completions"] == []
            watching = page.ask("watching", op="watch", address=to)
            assert watching["reason"].startswith(f"there is no {to!r} here")
            assert page.ask("history", op="history", other=to)["entries"] == []
        names = [each["address"] for each in page.ask("contacts", op="contacts")["contacts"]]
        seen = [each["address"] for each in other.ask("contacts", op="contacts")["contacts"]]
        assert "rover" not in names
        assert "rover" in seen
        assert [
            each
            for each in page.ask("conversations", op="conversations")["conversations"]
            if each["other"] == "rover"
        ] == []
        assert "rover" not in page.do("group crew", "gateway")
    people["dora"].do("forward 1")
    assert not [each for each in nils.statuses[heard:] if "online" in each], "presence at the broker"


def test_s11_the_state_at_the_broker_is_for_whom_a_pattern_lets_see_the_robot(
    town: Gateway, people: dict[str, Person]
) -> None:
    for person in people.values():
        person.subscribe("boards/rover/state")
    for name in ("dora", "lena"):  # by a pattern, and by its name
        seen = people[name].statuses
        until(lambda seen=seen: any("firmware" in each for each in seen), f"{name} reads the state")
    assert not any("firmware" in each for each in people["nils"].statuses)


def test_s11_live_control_takes_the_right_and_keeps_the_limits(
    town: Gateway, people: dict[str, Person]
) -> None:
    people["dora"].do("rearm")
    dora, lena = Caller(people["dora"]), Caller(people["lena"])
    assert lena.open() == "refused"
    assert "lena may not drive rover: no grant gives lena `drive` there" in str(lena.news()[-1]["reason"])
    assert dora.open() == "answered"
    dora.steer("x=0 y=50", seconds=0.2)
    dora.steer("x=0 y=51")
    assert "dora may not drive rover so: grant drivers" in dora.end()
    assert "says y <= 50, and it is 51" in dora.end()
    with Local(town, "lena", as_person=True) as page, Local(town, "nils", as_person=True) as nobody:
        refused = page.ask("called", op="call", to="rover")
        assert "lena may not drive rover" in refused["reason"]
        assert "lena may not drive rover" in page.ask("asked", op="ask call", to="rover")["reason"]
        for op in ("call", "ask call"):
            assert nobody.ask("called", op=op, to="rover")["reason"].startswith(UNKNOWN)


def test_s11_everybody_stops_whatever_the_rules_say(town: Gateway, people: dict[str, Person]) -> None:
    for name in PEOPLE:
        people["dora"].do("rearm")
        since = len(people[name].inbox)
        people[name].say("rover: stop")
        told = str(people[name].hears("stopped", since)["body"])
        if name != "nils":
            assert "rover stopped, confirmed" in told
    assert re.fullmatch(r"1 other stopped, confirmed in \d+ ms", told), "he may not know which one"
    with Local(town, "nils", as_person=True) as page:
        past = page.ask("history", op="history")["entries"]
        assert [each for each in past if "rover stopped" in f"{each}"] == []
    with Local(town, local_user(), as_person=False) as owner:
        lines = owner.ask("audit", op="audit", text="nils stop")["lines"]
    assert "rover stopped, confirmed" in lines[-1]["result"]


def test_s11_what_is_denied_is_in_the_audit_with_who_what_and_why(
    town: Gateway, people: dict[str, Person]
) -> None:
    people["lena"].do("forward 1")
    people["nils"].do("forward 1")
    with Local(town, "dora", as_person=False) as owner:
        lines = owner.ask("audit", op="audit", text="denied")["lines"]
    told = [(each["who"], each["what"], each["target"]) for each in lines]
    assert ("lena", "denied: motion", "rover") in told
    assert ("nils", "denied: see", "rover") in told
    assert any("no grant gives lena `motion` there" in each["result"] for each in lines)


@pytest.fixture
def rules(town: Gateway) -> Iterator[Callable[[str], None]]:
    """Puts other rules into force; in the end those of before."""
    path = town.state / "conf.d" / "rights.conf"

    def put(text: str) -> None:
        path.write_text(text)
        with Local(town, local_user(), as_person=False) as owner:
            reloaded = owner.ask("reloaded", op="reload")
        assert [each["name"] for each in reloaded["changes"]] == ["rights"]

    yield put
    if path.read_text() != RIGHTS:
        put(RIGHTS)


def test_s11_other_rules_reach_open_sessions_and_calls_within_2_s(
    town: Gateway, people: dict[str, Person], rules: Callable[[str], None]
) -> None:
    people["dora"].do("rearm")
    dora = Caller(people["dora"])
    with Local(town, "dora", as_person=True) as page, Local(town, "lena", as_person=True) as other:
        assert dora.open() == "answered"
        hand = threading.Thread(target=dora.steer, args=("x=0 y=20", 3.0))
        hand.start()
        rules(RIGHTS.replace("motion, drive, rearm", "see"))
        began = time.monotonic()
        assert dora.end() == "dora may not drive rover any more"
        assert page.heard("nothing more") == {}, "who has other rights asks again for what he sees"
        assert time.monotonic() - began < 2
        hand.join()
        assert "may not tell rover to forward" in people["dora"].do("forward 1").body
        assert other.ask("contacts", op="contacts")["contacts"], "others stay"


def test_s11_who_leaves_a_group_loses_its_rights_and_its_owner_gives_none_away(
    town: Gateway, people: dict[str, Person]
) -> None:
    lena, nils = people["lena"], people["nils"]
    assert "nils" in nils.do("/group crew add nils", to="gateway").body
    assert UNKNOWN in nils.do("horn 0.1").body
    nils.do("/group crew remove lena", to="gateway")
    until(lambda: UNKNOWN in lena.do("horn 0.1").body, "lena has no rights any more")
    nils.do("/group crew add lena", to="gateway")
    until(lambda: UNKNOWN not in lena.do("horn 0.1").body, "lena has them again")


def test_roles_count_too_where_the_policy_says_so(
    town: Gateway, people: dict[str, Person], rules: Callable[[str], None]
) -> None:
    rules(RIGHTS.replace("roles = no", "roles = yes"))
    people["nils"].do("rearm")
    assert people["nils"].do("forward 6").state == "done"
