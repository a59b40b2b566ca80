"""A module with ``isolate = yes``: it does all that it does inline, and can do nothing else."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from boardtalk import conf, loader
from boardtalk.chain.health import Condition
from boardtalk.sdk import CallState, ConfigError, ModuleError, Refused, State
from boardtalk.testing import Bench, bench

CODE = '''
import asyncio, os, socket, sys, threading, time
from pathlib import Path
from boardtalk.sdk import (
    CONSUMED, PASS, Call, CallState, Code, Completion, Contact, Kind, Message, Module, Refused, Settings,
    Status, User, Verdict,
)

class Guest(Module):
    """Does what it is told."""

    name = "guest"
    version = "7"
    description = "does what it is told"

    class Config(Settings):
        word: str = "please"
        number: int = 0
        file: Path = Path("none")

    async def on_start(self) -> None:
        if self.config.word == "bad":
            raise OSError("not this word")
        self.context.register(Contact(address="guest", kind=Kind.SERVICE, online=True))
        self.hoard = []

    async def on_message(self, message: Message) -> Verdict:
        if message.body == "aside":
            return PASS
        if message.to != "guest":
            return self.meddle(message)
        code = message.body
        try:
            result = eval(code, globals() | {"self": self, "message": message})
            if asyncio.iscoroutine(result):
                result = await result
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
        self.reply(message, str(result))
        return CONSUMED

    def meddle(self, message: Message) -> Verdict:
        if message.body == "refuse":
            raise Refused(Code.DENIED, "not today")
        if message.body == "raise":
            raise ValueError("boom")
        if message.body == "forge":
            return message.with_(sender="alice", row=1, id="other", body="forged")
        return message.with_(body=message.body + self.config.word)

    async def hang(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.hoard.append("cancelled")

    async def eat(self) -> int:
        """Take what there is, and let it go: who keeps all of it has none left to say so."""
        eaten = []
        try:
            for _ in range(500):
                eaten.append(bytearray(1 << 20))
                await asyncio.sleep(0)  # it reacts meanwhile, however busy the machine is
        except MemoryError:
            pass
        return len(eaten)

    def on_message_status(self, message: Message, status: Status) -> None:
        self.hoard.append((message.id, status.state.value))

    def on_login(self, user: User) -> None:
        self.hoard.append((user.address, user.online))

    def on_complete(self, to: str, line: str) -> list[Completion]:
        return [Completion("help", "what there is")]

    async def on_show(self, user: str) -> dict:
        if user == "carol":
            raise Refused(Code.DENIED, "not you")
        return {"for": user, "word": self.config.word}

    def on_call(self, call: Call) -> Verdict:
        if call.sender == "carol":
            raise Refused(Code.DENIED, "not you")
        return CONSUMED if call.to == "guest" else PASS

    def on_set_point(self, call: Call, text: str) -> None:
        if text == "x=bad":
            raise ValueError("no number")
        self.hoard.append(text)

    def on_call_status(self, call: Call, state: CallState) -> None:
        self.hoard.append(state.value)

    async def on_cleanup(self) -> None:
        (self.context.folder / "left").write_text("in order")


class Pliable(Guest):
    """Takes new settings as it is."""

    name = "pliable"

    def on_config(self, config: Settings) -> None:
        if config.word == "bad":
            raise ValueError("not this word")
'''
PEOPLE = {"alice": "admin", "bob": "operator", "carol": "viewer"}


def put_code(modules: Path) -> Path:
    for name in ("guest", "pliable"):
        (modules / f"{name}.py").write_text(CODE)
    return modules


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the code: the same for all, so that it is described once."""
    return put_code(tmp_path_factory.mktemp("modules"))


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """One whose code a test changes."""
    return put_code(tmp_path)


def document(folder: Path, settings: str = "", name: str = "guest", isolate: str = "yes") -> conf.Document:
    return conf.parse(
        f"module_folders = {folder}\nmodule {name} {{\nrequired = yes\nisolate = {isolate}\n{settings}\n}}",
        "gateway.conf",
    )


def planned(folder: Path, settings: str = "", name: str = "guest") -> loader.Instance:
    [instance] = loader.plan(document(folder, settings, name)).instances
    return instance


@asynccontextmanager
async def guest(folder: Path, settings: str = "", name: str = "guest") -> AsyncIterator[Bench]:
    async with bench(planned(folder, settings, name), users=PEOPLE) as gateway:
        yield gateway


async def ask(gateway: Bench, code: str) -> str:
    """What the guest says to a piece of Python; asked anew where a busy machine did not let it react."""
    while True:
        number = gateway.say("bob", "guest", code)
        body = await answer(gateway, number)
        if body != "no module answers for 'guest' just now":
            return body


async def answer(gateway: Bench, number: str) -> str:
    """What bob is told of a message."""
    while True:
        for message in gateway.inbox("bob"):
            if message.refid == number:
                return message.body
        await asyncio.sleep(0.005)


async def until(probe: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not probe():
            await asyncio.sleep(0.02)


# It does what it does inline --------------------------------------------------------------------


async def test_its_code_runs_in_another_process_alone(folder: Path) -> None:
    async with guest(folder) as gateway:
        assert int(await ask(gateway, "os.getpid()")) != os.getpid()
        assert not [name for name in sys.modules if "guest" in name]
        [report] = gateway.reports
        assert (report.name, report.version, report.condition) == ("guest", "7", Condition.RUNNING)
        assert report.description == "does what it is told"


async def test_it_passes_replaces_consumes_and_refuses(folder: Path) -> None:
    async with guest(folder, "word = !") as gateway:
        assert (await gateway.ended(gateway.say("bob", "carol", "aside"))).state is State.DONE
        gateway.say("bob", "carol", "hello")
        assert (await gateway.hears("carol", "hello")).body == "hello!"
        refused = await gateway.ended(gateway.say("bob", "carol", "refuse"))
        assert (refused.state, refused.detail) == (State.REJECTED, "not today")
        assert await ask(gateway, "1 + 1") == "2"


async def test_what_it_measures_is_told(folder: Path) -> None:
    async with guest(folder) as gateway:
        values = "{'volts': 7.5, 'mood': 'fine'}"
        assert await ask(gateway, f"self.context.publish('guest', {values}, at=5.0)") == "False"
        assert gateway.series("guest") == {"volts": [(5.0, 7.5)], "mood": [(5.0, "fine")]}
        assert "no address" in await ask(gateway, "self.context.publish('alice', {'volts': 7.5})")
        assert "ValueError" in await ask(gateway, "self.context.publish('guest', {'volts': 1e999})")


async def test_it_can_t_change_whose_message_it_is(folder: Path) -> None:
    async with guest(folder) as gateway:
        number = gateway.say("bob", "carol", "forge")
        message = await gateway.hears("carol", "forged")
        assert (message.sender, message.id) == ("bob", number)
        assert (await gateway.ended(number)).state is State.DONE


async def test_an_error_is_told_and_the_message_goes_on_or_not(folder: Path) -> None:
    async with guest(folder) as gateway:
        assert (await gateway.ended(gateway.say("bob", "carol", "raise"))).state is State.DONE
        assert "ValueError: boom" in gateway.reports[0].last_error
    async with guest(folder, "on_fail = drop") as gateway:
        assert (await gateway.ended(gateway.say("bob", "carol", "raise"))).state is State.REJECTED


async def test_one_that_waits_too_long_is_told_so_there(folder: Path) -> None:
    async with guest(folder) as gateway:
        gateway.say("alice", "guest", "self.hang()")
        assert await ask(gateway, "2 + 2") == "4", "the others go on"
        await until(lambda: gateway.reports[0].failed == 1)
        assert "cancelled" in await ask(gateway, "self.hoard")


async def test_order_is_kept_in_a_conversation(folder: Path) -> None:
    async with guest(folder, "word = .") as gateway:
        for number in range(300):
            gateway.say("bob", "carol", f"{number}")
        await gateway.hears("carol", r"^299\.")
        assert [message.body for message in gateway.inbox("carol")] == [f"{number}." for number in range(300)]


async def test_it_is_told_of_logins_and_of_what_became_of_its_messages(folder: Path) -> None:
    async with guest(folder) as gateway:
        gateway.log_out("carol")
        await ask(gateway, "self.context.send(Message(sender='guest', to='alice', body='x', id='mine'))")
        await gateway.hears("alice", "^x$")
        hoard = await ask(gateway, "self.hoard")
        assert "('carol', False)" in hoard
        assert "('mine', 'done')" in hoard


async def test_it_shows_of_itself_what_somebody_may_see(folder: Path) -> None:
    async with guest(folder) as gateway:
        assert await gateway.show("alice") == {"for": "alice", "word": "please"}
        with pytest.raises(Refused, match="not you"):
            await gateway.show("carol")


async def test_it_completes_lines(folder: Path) -> None:
    async with guest(folder) as gateway:
        assert [found.text for found in await gateway.complete("guest", "he")] == ["help"]


async def test_it_answers_calls_and_steers(folder: Path) -> None:
    async with guest(folder) as gateway:
        with pytest.raises(Refused, match="not you"):
            await gateway.call("carol", "guest")
        call = await gateway.call("bob", "guest")
        gateway.steer(call, "x=1")
        gateway.steer(call, "x=2")
        assert "'x=1', 'x=2'" in await ask(gateway, "self.hoard")
        gateway.steer(call, "x=bad")
        assert "no number" in await gateway.call_is(call, CallState.ENDED)


async def test_what_its_context_refuses_is_raised_where_it_asked(folder: Path) -> None:
    async with guest(folder) as gateway:
        assert "somebody else's" in await ask(
            gateway, "self.context.register(Contact(address='alice', kind=Kind.SERVICE))"
        )
        assert await ask(gateway, "self.context.allowed('carol', 'motion', 'guest')") == "False"
        assert (
            await ask(gateway, "self.context.allowed('bob', 'motion', 'guest', 'go', {'far': 1})") == "True"
        )
        assert await ask(gateway, "self.context.require('bob', 'motion', 'guest', 'go').__repr__()") == "''"
        assert "carol may not tell guest to go: `motion` needs the role operator" in await ask(
            gateway, "self.context.require('carol', 'motion', 'guest', 'go', {'far': 1})"
        )
        assert "Kind.USER" in await ask(gateway, "self.context.contact('alice').kind.__repr__()")
        assert await ask(gateway, "self.context.contact('nobody')") == "None"
        assert await ask(gateway, "sorted(each.address for each in self.context.contacts())") == str(
            ["alice", "bob", "carol", "guest"]
        )


async def test_its_notes_are_in_the_gateway(folder: Path) -> None:
    async with guest(folder) as gateway:
        await ask(gateway, "self.context.notes.update(a=[1, 2], b='x')")
        await ask(gateway, "self.context.notes.pop('b')")
        assert await ask(gateway, "dict(self.context.notes)") == "{'a': [1, 2]}"
        assert await ask(gateway, "self.context.notes['none']") == "KeyError: 'none'"
        assert "at most" in await ask(gateway, "self.context.notes.update(c='x' * 70_000)")
        assert gateway.module.context.notes["a"] == [1, 2]


async def test_it_has_timers_threads_and_processes(folder: Path) -> None:
    async with guest(folder) as gateway:
        await ask(gateway, "self.context.after(0, lambda: self.hoard.append('later'))")
        assert await ask(gateway, "self.context.run_in_thread(max, 1, 2)") == "2"
        assert "later" in await ask(gateway, "self.hoard")


async def test_what_it_logs_and_prints_is_logged(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with guest(folder) as gateway:
        await ask(gateway, "self.context.log.warning('look', level='odd', what={1: object})")
        await ask(gateway, "print('hello')")
        await asyncio.sleep(0.1)
    said = capsys.readouterr().out
    assert "look" in said
    assert "odd" in said
    assert "hello" in said


async def test_it_cleans_up(folder: Path) -> None:
    async with guest(folder) as gateway:
        left = gateway.module.context.folder / "left"
        pid = int(await ask(gateway, "os.getpid()"))
        await gateway.apply()
        assert left.read_text() == "in order"
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


# It can do nothing else -------------------------------------------------------------------------


FORBIDDEN = [
    "open('/etc/passwd').read()",
    "os.listdir('/')",
    "os.listdir('/dev')",
    "os.listdir(self.context.state)",
    "open(self.context.state / 'store.db', 'rb')",
    "open(self.context.state / 'mine', 'w')",
    "open('/dev/tty')",
    "open('/dev/ptmx')",
    "open(f'/proc/{os.getppid()}/environ').read()",
    "open(f'/proc/{os.getppid()}/mem', 'rb')",
    "socket.socket()",
    "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "socket.socket(socket.AF_INET6)",
    "socket.socket(socket.AF_UNIX)",
    "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "os.kill(os.getppid(), 0)",
    "os.kill(1, 0)",
    "self.context.http('http://127.0.0.1/')",
    "self.context.connect('tcp://127.0.0.1:1')",
    "bytearray(300 << 20)",
    "[open('/dev/null') for _ in range(300)]",
]
REFUSALS = ("PermissionError", "OutsideError", "MemoryError", "OSError: [Errno 24]")


async def test_what_is_not_its_own_is_out_of_reach(folder: Path) -> None:
    async with guest(folder) as gateway:
        answers = {code: await ask(gateway, code) for code in FORBIDDEN}
        reached = {code: answer for code, answer in answers.items() if not answer.startswith(REFUSALS)}
        assert not reached
        assert await ask(gateway, "1 + 1") == "2", "and it lives"


async def test_it_does_not_see_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "canary")
    async with guest(folder) as gateway:
        assert "canary" not in await ask(gateway, "os.environ")


async def test_it_has_its_folder(folder: Path) -> None:
    async with guest(folder) as gateway:
        await ask(gateway, "(self.context.folder / 'own').write_text('x')")
        assert (gateway.module.context.folder / "own").read_text() == "x"


async def test_it_reads_the_files_that_its_block_names(folder: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("abc")
    async with guest(folder, f"file = {token}") as gateway:
        assert await ask(gateway, "self.config.file.read_text()") == "abc"
        assert "PermissionError" in await ask(gateway, "self.config.file.write_text('x')")


async def test_a_device_may_be_granted(folder: Path) -> None:
    ours, its = os.openpty()
    try:
        async with guest(folder, f"devices = {os.ttyname(its)}") as gateway:
            assert await ask(gateway, f"open({os.ttyname(its)!r}, 'w').write('hi')") == "2"
            assert os.read(ours, 2) == b"hi"
            assert "PermissionError" in await ask(gateway, "open('/dev/ptmx')")
    finally:
        os.close(ours)
        os.close(its)


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


async def test_the_network_may_be_granted_but_never_the_sockets_of_this_machine(folder: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Hello) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        async with guest(folder, "network = yes") as gateway:
            fetch = f"self.context.http({url!r}).__aenter__()"
            assert "Answer" in await ask(gateway, fetch)
            assert "PermissionError" in await ask(gateway, "socket.socket(socket.AF_UNIX)")
            high = "__import__('ctypes').CDLL(None).socket(socket.AF_UNIX | (1 << 32), 1, 0)"
            assert await ask(gateway, high) == "-1"
        server.shutdown()


# It hurts nobody --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "crime",
    ["time.sleep(600)", "all(True for _ in iter(bool, 1))", "os._exit(3)", "os.kill(os.getpid(), 11)"],
    ids=["hangs", "spins", "ends", "crashes"],
)
async def test_c15_a_process_that_is_lost_is_started_again(folder: Path, crime: str) -> None:
    async with guest(folder) as gateway:
        pid = await ask(gateway, "os.getpid()")
        assert gateway.contact("guest") is not None
        gateway.say("alice", "guest", crime)
        await until(lambda: gateway.contact("guest") is None)
        assert (await gateway.ended(gateway.say("bob", "carol", "aside"))).state is State.DONE
        await until(lambda: gateway.contact("guest") is not None)
        await asyncio.sleep(0)
        assert await ask(gateway, "os.getpid()") != pid


async def test_c15_one_that_was_lost_is_on_probation_busy_with_one_message_it_keeps_no_other_waiting(
    folder: Path,
) -> None:
    async with guest(folder, "word = !") as gateway:
        gateway.say("alice", "guest", "asyncio.sleep(0.7, 'thought about it')")
        gateway.say("bob", "carol", "one")
        assert (await gateway.hears("carol", "one")).body == "one!"
        gateway.say("alice", "guest", "os._exit(3)")
        await until(lambda: gateway.contact("guest") is None)
        await until(lambda: gateway.contact("guest") is not None)
        assert await ask(gateway, "0") == "0", "its address is known before it is asked"
        gateway.say("alice", "guest", "asyncio.sleep(0.7, 'thought again')")
        gateway.say("bob", "carol", "two")
        assert (await gateway.hears("carol", "two")).body == "two"
        assert await ask(gateway, "1 + 1") == "2", "what is for the module itself waits for it"
        await gateway.hears("alice", "thought again")
        gateway.say("bob", "carol", "three")
        assert (await gateway.hears("carol", "three")).body == "three!"


async def test_a_call_ends_with_the_process_that_answered(folder: Path) -> None:
    async with guest(folder) as gateway:
        call = await gateway.call("bob", "guest")
        gateway.say("alice", "guest", "os._exit(3)")
        assert "has ended" in await gateway.call_is(call, CallState.ENDED)


async def test_c15_one_that_eats_memory_gets_no_more_than_it_may(folder: Path) -> None:
    async with guest(folder, "memory_mb = 96") as gateway:
        assert 20 < int(await ask(gateway, "self.eat()")) < 96


async def test_c15_one_that_talks_without_end_is_not_listened_to(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with guest(folder) as gateway:
        await ask(gateway, "[self.context.log.info('again') for _ in range(3000)] and 0")
        await ask(gateway, "print('x' * 300_000)")
        assert await ask(gateway, "1 + 1") == "2"
    assert capsys.readouterr().out.count("again") < 1000


async def test_what_it_says_in_place_of_an_answer_ends_it(folder: Path) -> None:
    async with guest(folder) as gateway:
        pid = await ask(gateway, "os.getpid()")
        noise = (
            "[os.write(int(fd), b'{nonsense}\\n') for fd in os.listdir('/proc/self/fd')"
            " if os.path.realpath(f'/proc/self/fd/{fd}').rpartition('/')[2].startswith('socket')]"
        )
        gateway.say("alice", "guest", noise)
        await until(lambda: gateway.contact("guest") is None)
        await until(lambda: gateway.contact("guest") is not None)
        assert await ask(gateway, "os.getpid()") != pid


# The configuration ------------------------------------------------------------------------------


def test_wrong_settings_are_found_without_starting_it(folder: Path) -> None:
    found = loader.problems(document(folder, "number = x\nwrd = hm"))
    assert [error.line for error in found] == [5, 6]
    assert "expected a whole number" in str(found[0])
    assert "did you mean 'word'" in str(found[1])
    with pytest.raises(ConfigError, match="whole number"):
        loader.plan(document(folder, "number = x"))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise OSError('no luck')", "no luck"),
        ("import os\nos._exit(5)", "its process ends"),
        ("x = [bytearray(1 << 20) for _ in range(1000)]", "MemoryError"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "Operation not permitted"),
        (
            CODE.replace('name = "guest"', 'name = "guest"\n    blocks = {"port": Settings}'),
            "can't be isolated",
        ),
    ],
    ids=["raises", "ends", "eats", "calls home", "has blocks"],
)
def test_one_that_can_t_be_imported_is_no_module(own_folder: Path, code: str, words: str) -> None:
    (own_folder / "guest.py").write_text(code)
    [found] = loader.problems(document(own_folder))
    assert words in str(found)


@pytest.mark.parametrize("grant", ["network = yes", "memory_mb = 64", "devices = /dev/ttyUSB0"])
def test_grants_are_for_isolated_modules(folder: Path, grant: str) -> None:
    [found] = loader.problems(document(folder, grant, isolate="no"))
    assert "`isolate = yes`" in str(found)


async def test_one_that_does_not_start_says_why(folder: Path) -> None:
    with pytest.raises(ModuleError, match="not this word"):
        async with guest(folder, "word = bad"):
            pass


async def test_it_takes_new_settings_in_place_or_keeps_its_own(folder: Path) -> None:
    async with guest(folder, name="pliable") as gateway:
        pid = await ask(gateway, "os.getpid()")
        assert await gateway.apply(planned(folder, "word = anew", "pliable")) == [
            "pliable: reconfigured (word)"
        ]
        assert await ask(gateway, "self.config.word") == "anew"
        [kept] = await gateway.apply(planned(folder, "word = bad", "pliable"))
        assert "kept as it was" in kept
        assert "not this word" in kept
        assert await ask(gateway, "self.config.word, os.getpid()") == f"('anew', {pid})"


async def test_it_is_started_anew_with_new_settings_or_other_grants(folder: Path) -> None:
    async with guest(folder) as gateway:
        pids = {await ask(gateway, "os.getpid()")}
        assert await gateway.apply(planned(folder, "word = anew")) == ["guest: restarted (word)"]
        pids.add(await ask(gateway, "os.getpid()"))
        assert await ask(gateway, "self.config.word") == "anew"
        await gateway.apply(planned(folder, "word = anew\nmemory_mb = 100"))
        pids.add(await ask(gateway, "os.getpid()"))
        assert len(pids) == 3
        assert await gateway.apply(planned(folder, "word = anew\nmemory_mb = 100")) == []


async def test_changed_code_starts_it_anew(own_folder: Path) -> None:
    async with guest(own_folder) as gateway:
        (own_folder / "guest.py").write_text(CODE.replace('"7"', '"8"'))
        await gateway.apply(planned(own_folder))
        assert await ask(gateway, "self.version") == "8"
        assert gateway.reports[0].version == "8"
