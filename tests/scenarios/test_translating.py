"""Alice speaks German, bob English, and so does the rover: a LibreTranslate stand-in is between them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from .people import Join, Person
from .rig import Gateway, free_port

ENGLISH = {"Guten Morgen": "Good morning", "vorwärts 20": "Forward 20.", "Wie voll ist der Akku?": "battery"}
BLOCK = """
module translate {{
    endpoint = {endpoint}
    languages = alice: de, bob: en
    {more}
}}
"""


class Server:
    """Speaks as LibreTranslate does; what it does not know it gives back in brackets."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.ready = threading.Event()
        self.ready.set()

        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.asked.append(wanted["q"])
                server.ready.wait(10)
                text = ENGLISH.get(wanted["q"], f"<{wanted['q']}>")
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"translatedText": text}).encode())

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    serving = threading.Thread(target=made.http.serve_forever)
    serving.start()
    yield made
    made.ready.set()
    made.http.shutdown()
    serving.join()
    made.http.server_close()


@pytest.fixture(params=["", "isolate = yes\n    network = yes"], ids=["inline", "isolated"])
def gateway(own_demo: Gateway, server: Server, request: pytest.FixtureRequest) -> Gateway:
    conf: Path = own_demo.state / "gateway.conf"
    block = BLOCK.format(endpoint=server.endpoint, more=request.param)
    text = conf.read_text().replace("module iot_bridge {", f"{block}module iot_bridge {{")
    conf.write_text(text + block)  # before the bridge for commands, behind it for answers
    loaded = own_demo.cli("reload")
    assert loaded.code == 0, loaded.text
    return own_demo


@pytest.fixture
def alice(gateway: Gateway, join: Join) -> Person:
    operator = join(gateway, "alice")
    operator.do("rearm")
    return operator


@pytest.fixture
def bob(gateway: Gateway, join: Join) -> Person:
    return join(gateway, "bob", "viewer")


def test_people_and_the_rover_understand_each_other(server: Server, alice: Person, bob: Person) -> None:
    alice.say("bob: Guten Morgen")
    assert bob.hears("morning")["body"] == "Good morning\n(de: Guten Morgen)"
    driven = alice.do("vorwärts 20")
    assert driven.state == "done", (driven, alice.inbox)
    assert driven.body.startswith("<")
    assert driven.body.endswith(")")  # his own language, and the rover's own words below
    assert alice.hears("is told")["body"] == "rover is told: Forward 20"
    assert alice.do("Wie voll ist der Akku?").state == "done"
    asked = len(server.asked)
    refused = bob.do("forward 20")
    assert refused.state == "rejected"
    assert "operator" in refused.body
    assert server.asked[asked:] == []


def test_a_stop_comes_before_what_is_still_being_translated(server: Server, alice: Person) -> None:
    server.ready.clear()
    alice.say({"to": "rover", "body": "vorwärts 20", "id": "late"})
    alice.wait(lambda: alice.states("late"), "accepted")
    alice.say("stop", topic="stop")
    alice.hears("stopped, confirmed")
    server.ready.set()
    late = alice.outcome("late")
    assert late.state in {"rejected", "expired"}
    alice.do("rearm")
    position = re.search(r"x (\d+)", alice.do("forward 1").body)
    assert position
    assert int(position[1]) < 5


def test_without_the_server_commands_in_the_rover_s_own_words_work(server: Server, alice: Person) -> None:
    server.http.shutdown()
    server.http.server_close()
    driven = alice.do("forward 20")
    assert driven.state == "done"
    assert "(not translated: " in driven.body
    typed = alice.do("vorwärts 20")
    assert typed.state == "rejected"
    assert alice.hears("rover is told what you wrote")["from"] == "translate"


def test_what_waits_for_its_translation_when_the_gateway_is_killed_comes_translated(
    server: Server, tmp_path: Path, join: Join
) -> None:
    port = free_port()
    conf = tmp_path / "gateway.conf"
    block = BLOCK.format(endpoint=server.endpoint, more="wait = 0.9")
    conf.write_text(f"broker {{\n    port = {port}\n}}\n{block}")
    with Gateway(tmp_path / "state", "run", "--conf", str(conf), port=port) as gateway:
        bob = partial(Person, gateway, "bob", gateway.token("bob"), remembered=True)
        with bob():
            pass  # from now on the broker keeps what is for him
        alice = join(gateway, "alice")
        server.ready.clear()
        alice.say({"to": "bob", "body": "Guten Morgen", "id": "m"})
        alice.wait(lambda: alice.states("m"), "accepted")
        gateway.kill()
        server.ready.set()
        gateway.start()
        with bob() as returned:
            assert returned.hears("morgen")["body"] == "Good morning\n(de: Guten Morgen)"
