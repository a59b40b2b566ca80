"""Boards that come over a broker: real gateway, real brokers, real MicroPython."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from boardtalk.broker.permissions import Grant, mosquitto_passwords
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.interpreter import SIM
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import LinkClient, ask
from boardtalk.people.policy import Topics
from tests.campaigns.load import Echo
from tests.scenarios.rig import Gateway, Result, free_port

T = TypeVar("T")

ROVER = Path(__file__).parents[2] / "firmware" / "examples" / "rover" / "main.py"
KINDS = ("embedded", "mosquitto")
PROGRAMS = {"embedded": "nats-server", "mosquitto": "mosquitto"}
CONFIGURATION = """\
broker {kind} {{
  port = {port}
}}
module iot_bridge {{
  discover = no
}}
board rover {{
  port = mqtt
}}
board arm {{
  port = mqtt
}}
"""
LEASE_S, MARGIN_S = 0.5, 0.1
BACK_S = 5.0


async def call(work: Callable[..., T], *args: Any) -> T:
    """What takes time must not hold up the board's world."""
    return await asyncio.to_thread(work, *args)


class Site:
    """A gateway with a broker, and folders for boards that log in there."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.folder = folder
        self.broker = PROGRAMS[kind]
        self.port = free_port()
        conf = folder / "gateway.conf"
        conf.write_text(CONFIGURATION.format(kind=kind, port=self.port))
        self.gateway = Gateway(folder / "state", "run", "--conf", str(conf), port=self.port)

    async def cli(self, *arguments: str) -> Result:
        return await call(self.gateway.cli, *arguments)

    async def credentials(self, name: str) -> dict[str, Any]:
        printed = await self.cli("boards", "credentials", name)
        assert printed.code == 0, printed.text
        settings: dict[str, Any] = json.loads(printed.out)
        return settings

    async def program(self, name: str, **changes: Any) -> Path:
        """The rover's program, with the settings that let it log in under this name."""
        folder = self.folder / f"{name}{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        (folder / "main.py").write_text(ROVER.read_text())
        (folder / "chassis.py").write_text((SIM / "rover" / "chassis.py").read_text())
        settings = await self.credentials(name) | changes
        (folder / "boardtalk.json").write_text(json.dumps(settings))
        return folder

    async def state(self, name: str) -> dict[str, Any]:
        """What `boardtalk boards` shows."""
        return await call(self.gateway.board, name)

    async def until(self, name: str, state: str, within: float = 15.0, detail: str = "") -> float:
        """Seconds until a board is shown so, asked as `boardtalk boards` does: to start that takes longer."""
        began = time.monotonic()
        while (known := await self._known(name)).state != state or detail not in known.detail:
            if time.monotonic() - began > within:
                raise AssertionError(f"{name} is not {state} within {within} s: {known}")
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def _known(self, name: str) -> api.BoardChanged:
        answer = await ask(self.gateway.state, api.ListBoards(re=1))
        assert isinstance(answer, api.Boards)
        return next(board for board in answer.boards if board.name == name)


@contextmanager
def site(kind: str, folder: Path) -> Iterator[Site]:
    if kind == "mosquitto" and not shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("mosquitto is not installed")
    made = Site(kind, folder)
    with made.gateway:
        yield made


@pytest.fixture(scope="module", params=KINDS)
def anywhere(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(request.param, tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site("embedded", tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture(params=KINDS)
def own_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """One that a test may ruin."""
    with site(request.param, tmp_path) as made:
        yield made


@asynccontextmanager
async def rover(at: Site, **changes: Any) -> AsyncIterator[EmulatedBoard]:
    """A rover that has logged in."""
    async with EmulatedBoard(await at.program("rover", **changes)) as board:
        await at.until("rover", "ready")
        yield board


class Client:
    """Somebody at the broker with the settings of a board."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.heard: list[paho.MQTTMessage] = []
        self.gone = False
        self._mqtt = paho.Client(CallbackAPIVersion.VERSION2)
        self._mqtt.username_pw_set(settings["user"], settings["password"])
        self._mqtt.on_message = lambda _client, _data, message: self.heard.append(message)
        self._mqtt.on_disconnect = lambda *_: setattr(self, "gone", True)
        self._mqtt.connect(settings["host"], settings["port"])
        self._mqtt.loop_start()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._mqtt.publish(topic, payload, qos=1, retain=retain)

    def subscribe(self, topic: str) -> None:
        self._mqtt.subscribe(topic, qos=1)

    def close(self) -> None:
        self._mqtt.disconnect()
        self._mqtt.loop_stop()


@pytest.fixture
def clients() -> Iterator[Callable[[dict[str, Any]], Client]]:
    made: list[Client] = []

    def make(settings: dict[str, Any]) -> Client:
        made.append(Client(settings))
        return made[-1]

    yield make
    for client in made:
        client.close()


async def test_a_chat_command_drives_a_rover_that_comes_by_mqtt(anywhere: Site) -> None:
    async with rover(anywhere) as board:
        answer = await call(anywhere.gateway.chat, "rover", "forward 20")
        assert answer.code == 0, answer.text
        await board.until(left=0, right=0)
        known = await anywhere.state("rover")
        assert (known["port"], known["uid"]) == ("mqtt", board.uid)


async def test_c07_stop_goes_to_mqtt_boards_while_the_gateway_hangs(own_site: Site) -> None:
    async with rover(own_site) as board:
        moving = asyncio.create_task(call(own_site.gateway.chat, "rover", "forward 300"))
        await board.until(left=50, right=50)
        await call(own_site.gateway.signal, "boardtalk run", signal.SIGSTOP)
        try:
            stopped = await own_site.cli("stop")
            assert "rover stopped, confirmed" in stopped.text
            await board.until(left=0, right=0)
        finally:
            await call(own_site.gateway.signal, "boardtalk run", signal.SIGCONT)
        assert (await moving).code == 1


async def test_c09_c20_motion_ends_with_its_lease_when_the_broker_hangs_and_the_board_is_back_soon_after_it(
    own_site: Site,
) -> None:
    echo = Echo()
    async with rover(own_site) as board, echo.measured():
        moving = asyncio.create_task(call(own_site.gateway.chat, "rover", "forward 300"))
        await board.until(left=50, right=50)
        await asyncio.sleep(0.5)
        broker = await call(own_site.gateway.process, own_site.broker)
        hung = time.monotonic()
        os.kill(broker.pid, signal.SIGSTOP)  # killed, it may be back in time
        off = (await board.until(left=0, right=0)).at - hung
        os.kill(broker.pid, signal.SIGKILL)
        assert (await moving).code == 1
        back = await own_site.until("rover", "ready", within=BACK_S)
        print(f"ready again {back:.1f} s later")
        await call(own_site.gateway.chat, "rover", "battery")
    echo.judge([off], LEASE_S + MARGIN_S, "outputs off")


async def test_c14_a_board_is_back_with_the_next_gateway_when_one_was_killed(own_site: Site) -> None:
    """The broker dies with the gateway that runs it; the link process finds the next one's by itself."""
    echo = Echo()
    async with rover(own_site) as board, echo.measured():
        moving = asyncio.create_task(call(own_site.gateway.chat, "rover", "forward 300"))
        await board.until(left=50, right=50)
        link = await call(own_site.gateway.process, "iot_bridge.service")
        killed = time.monotonic()
        await call(partial(own_site.gateway.end, signal.SIGKILL, after_a_kill=True))
        off = (await board.until(left=0, right=0)).at - killed
        await moving
        await call(own_site.gateway.start)
        back = await own_site.until("rover", "ready", within=BACK_S)
        print(f"ready {back:.1f} s after the next gateway")
        assert await call(own_site.gateway.process, "iot_bridge.service") == link
        assert (await call(own_site.gateway.chat, "rover", "battery")).code == 0
    echo.judge([off], LEASE_S + MARGIN_S, "outputs off")


async def test_a_board_without_a_broker_is_told_so(tmp_path: Path) -> None:
    wanted = api.WantedBoard(name="rover", port="mqtt")
    async with await LinkClient.start(tmp_path, [wanted]) as client, asyncio.timeout(10):
        async for event in client.events():
            if isinstance(event, api.BoardChanged) and "no broker" in event.detail:
                break


async def test_a_board_that_dies_is_offline_by_its_last_will(anywhere: Site) -> None:
    async with rover(anywhere) as board:
        await board.kill()
        took = await anywhere.until("rover", "offline", within=2.0)
        print(f"offline after {took:.2f} s")
        assert (await call(anywhere.gateway.chat, "rover", "battery")).code == 1
        await board.reset()
        await anywhere.until("rover", "ready")


async def test_a_board_with_a_wrong_token_does_not_come_in_and_says_so_on_its_console(
    anywhere: Site,
) -> None:
    program = await anywhere.program("rover", password="wrong" * 8)
    async with EmulatedBoard(program) as board:
        said = await console(board, "refuses the login")
        assert "boardtalk.json" in said
        await anywhere.until("rover", "offline", detail="not logged in")


async def console(board: EmulatedBoard, words: str) -> str:
    """What a board prints, up to these words."""
    said = b""
    fd = os.open(board.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        async with asyncio.timeout(10):
            while words.encode() not in said:
                try:
                    said += os.read(fd, 4096)
                except BlockingIOError:
                    await asyncio.sleep(0.02)
    finally:
        os.close(fd)
    return said.decode()


async def test_a_board_neither_speaks_nor_listens_for_another(
    anywhere: Site, clients: Callable[[dict[str, Any]], Client]
) -> None:
    arm = clients(await anywhere.credentials("arm"))
    async with rover(anywhere):
        for topic in ("boards/rover/rx", "boards/+/rx", "boards/#", "chat/#", "#", "boards/+/state"):
            arm.subscribe(topic)
        arm.publish("boards/rover/status", b"offline")
        arm.publish("boards/rover/tx", bytes(40))
        arm.publish("boards/rover/rx", bytes(40))
        arm.publish("chat/rover/out", b"arm: forward 1")
        for _ in range(3):
            answer = await call(anywhere.gateway.chat, "rover", "battery")
            assert answer.code == 0, answer.text
        assert (await anywhere.state("rover"))["state"] == "ready"
    assert not arm.heard


async def test_s10_a_board_is_shut_out_alone_within_two_seconds(
    anywhere: Site, clients: Callable[[dict[str, Any]], Client]
) -> None:
    arm = clients(await anywhere.credentials("arm"))
    async with rover(anywhere) as board:
        revoked = await anywhere.cli("boards", "credentials", "rover", "--revoke")
        assert revoked.code == 0, revoked.text
        took = await anywhere.until("rover", "offline", within=2.0)
        print(f"offline {took:.2f} s after it was shut out")
        await asyncio.sleep(1)
        assert (await anywhere.state("rover"))["state"] == "offline"
        assert not arm.gone
        assert board.running
    again = await anywhere.cli("boards", "credentials", "rover", "--revoke")
    assert again.code == 2
    assert "rover" in again.err
    async with rover(anywhere):
        pass


async def test_a_new_token_ends_the_session_of_the_old_one(here: Site) -> None:
    async with rover(here):
        await here.credentials("rover")
        await here.until("rover", "offline", within=2.0)


async def test_a_board_that_says_it_is_another_is_not_taken_for_either(here: Site) -> None:
    uid = "ab" * 8
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(EmulatedBoard(await here.program("rover"), uid=uid))
        await here.until("rover", "ready")
        await stack.enter_async_context(EmulatedBoard(await here.program("arm"), uid=uid))
        await here.until("arm", "offline", detail=f"board {uid} is connected")
        assert (await here.state("rover"))["state"] == "ready"


async def test_everybody_may_see_how_a_board_is(
    here: Site, clients: Callable[[dict[str, Any]], Client]
) -> None:
    token = await call(here.gateway.token, "alice", "viewer")
    alice = clients({"host": "127.0.0.1", "port": here.port, "user": "alice", "password": token})

    async def told(state: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                for message in alice.heard:
                    value: dict[str, Any] = json.loads(message.payload)
                    if message.topic == "boards/rover/state" and value["state"] == state:
                        return value
                await asyncio.sleep(0.02)

    async with rover(here) as board:
        async with asyncio.timeout(20):
            while not any(b'"ready"' in message.payload for message in alice.heard):
                # Comes later than the state. nats-server tells an older one if that is said just now.
                alice.subscribe("boards/+/state")
                await asyncio.sleep(1)
        assert (await told("ready"))["uid"] == board.uid
        assert all(message.retain for message in alice.heard if message.topic == "boards/rover/state")
        alice.heard.clear()
        await board.kill()
        await told("offline")


async def test_no_secret_is_logged_or_shown_to_other_users(here: Site) -> None:
    async with rover(here):
        secrets = [
            json.loads((here.gateway.state / "secrets" / name).read_text())
            for name in ("boards.json", "boards-broker.json")
        ]
        tokens = {secrets[0]["content"][0]["token"], secrets[1]["password"]}
        assert all(len(token) >= 32 for token in tokens)
        for path in (here.gateway.state / "secrets").iterdir():
            assert path.stat().st_mode & 0o077 == 0, path
        logs = here.gateway.log + (here.gateway.state / "link.log").read_text()
        shown = logs + (await here.cli("boards")).text + (await here.cli("doctor")).text
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended
                shown += (process / "cmdline").read_bytes().decode(errors="replace")
        assert not [token for token in tokens if token in shown]


async def test_the_credentials_are_the_file_that_the_document_shows(here: Site) -> None:
    document = (ROVER.parents[3] / "docs" / "board-author.md").read_text()
    shown = json.loads(document.split("```json")[1].split("```")[0])
    printed = await here.cli("boards", "credentials", "rover")
    settings = json.loads(printed.out)
    assert {key: type(value) for key, value in settings.items()} == {
        key: type(value) for key, value in shown.items()
    }
    assert (settings["topic"], settings["user"]) == (shown["topic"], shown["user"])
    assert "host = 0.0.0.0" in printed.err, "boards can't reach a broker at 127.0.0.1"
    assert settings["password"] not in printed.err


async def test_credentials_are_for_boards_only(here: Site) -> None:
    await call(here.gateway.token, "alice")
    refused = await here.cli("boards", "credentials", "alice")
    assert refused.code != 0
    assert "alice" in refused.err
    assert (await here.cli("boards", "credentials", "No Name")).code != 0


KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout"
OPENSSL = f"""
openssl req -x509 {KEY} NAME.key -out NAME.pem -subj /CN=ca
openssl req {KEY} broker.key -out broker.csr -subj /CN=localhost
openssl x509 -req -in broker.csr -CA NAME.pem -CAkey NAME.key -CAcreateserial -out broker.pem -extfile names
openssl x509 -in NAME.pem -outform der -out NAME.der
"""
MOSQUITTO = """
user root
listener {port} 127.0.0.1
cafile ca.pem
certfile broker.pem
keyfile broker.key
password_file passwords
acl_file rights
"""
FOREIGN = """
broker {{
  url = mqtts://localhost:{port}
  username = gateway
  password_file = {folder}/password
  ca_file = {folder}/ca.pem
}}
module iot_bridge {{
  discover = no
}}
board rover {{
  port = mqtt
}}
"""


def rights_in_the_document() -> str:
    """What docs/mqtt.md says that another broker must allow."""
    return (ROVER.parents[3] / "docs" / "mqtt.md").read_text().split("```acl\n")[1].split("```")[0]


async def test_a_board_comes_over_a_foreign_broker_with_tls(tmp_path: Path) -> None:
    """With the rights of the document, and no others."""
    mosquitto = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if not mosquitto or not shutil.which("openssl"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("mosquitto or openssl is not installed")
    port = free_port()
    (tmp_path / "names").write_text("subjectAltName=DNS:localhost")
    (tmp_path / "password").write_text("secret" * 6)
    (tmp_path / "mosquitto.conf").write_text(MOSQUITTO.format(port=port))
    for name in ("other", "ca"):
        for line in OPENSSL.replace("NAME", name).strip().splitlines():
            await call(
                partial(subprocess.run, shlex.split(line), cwd=tmp_path, check=True, capture_output=True)
            )
    (tmp_path / "rights").write_text(rights_in_the_document())

    def let_in(**passwords: str) -> None:
        grants = [Grant(name, password, Topics((), ())) for name, password in passwords.items()]
        (tmp_path / "passwords").write_text(mosquitto_passwords(grants))

    let_in(gateway="secret" * 6)
    at = Site("embedded", tmp_path)
    (tmp_path / "gateway.conf").write_text(FOREIGN.format(port=port, folder=tmp_path))
    broker = subprocess.Popen([mosquitto, "-c", "mosquitto.conf"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        await call(at.gateway.start)
        printed = await at.cli("boards", "credentials", "rover")
        assert "operator" in printed.err
        settings = json.loads(printed.out)
        assert (settings["host"], settings["tls"], settings["ca"]) == ("localhost", True, "broker.der")
        assert settings["user"] == "_board_rover"
        let_in(gateway="secret" * 6, _board_rover=settings["password"])
        broker.send_signal(signal.SIGHUP)
        folder = tmp_path / "robot"
        folder.mkdir()
        (folder / "main.py").write_text(ROVER.read_text())
        (folder / "chassis.py").write_text((SIM / "rover" / "chassis.py").read_text())
        (folder / "boardtalk.json").write_text(json.dumps(settings))
        (folder / "broker.der").write_bytes((tmp_path / "other.der").read_bytes())
        async with EmulatedBoard(folder, heap="256k") as board:
            await console(board, "broker localhost")
            await at.until("rover", "offline", detail="not logged in")
            (folder / "broker.der").write_bytes((tmp_path / "ca.der").read_bytes())
            await board.reset()
            await at.until("rover", "ready")
            assert (await call(at.gateway.chat, "rover", "forward 20")).code == 0
            await board.until(left=0, right=0)
        await at.until("rover", "offline", within=2.0)
    finally:
        await call(at.gateway.end)
        broker.kill()
        broker.wait()


NETWORK = """
import os

STA_IF = 0

class WLAN:
    PM_NONE = 0

    def __init__(self, interface):
        pass

    def active(self, on):
        pass

    def config(self, pm):
        pass

    def connect(self, ssid, password):
        print("joins", ssid, "with", password)

    def isconnected(self):
        return "wifi.json" in os.listdir()
"""
"""Wi-Fi that is there while there is a file `wifi.json` on the flash."""


async def test_a_board_joins_its_wifi_first(here: Site) -> None:
    program = await here.program("rover", wifi={"ssid": "workshop", "password": "hush"})
    (program / "network.py").write_text(NETWORK)
    async with EmulatedBoard(program) as board:
        assert "joins workshop with hush" in await console(board, "hush")
        await here.until("rover", "offline", detail="not logged in")
        (board._folder / "flash" / "wifi.json").touch()
        await here.until("rover", "ready")
