"""Settings of a module on trial: in force at once, and in the file when somebody confirms them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boardtalk import conf
from boardtalk.frontends import control
from boardtalk.frontends.client import Denied, GatewayClient
from boardtalk.sdk import ConfigError
from tests.gateway.town import heard, town

TEXT = """# What the workshop says.
log_level = info

/** modules,
    in their order **/
module_folders = FOLDER
module echo {
    word = hello        # how it greets
    # loud = yes
    token = s3cret
}
module echo {
    address = second
}
"""
ECHO = """
from typing import Annotated, Literal
from msgspec import Meta
from boardtalk.sdk import CONSUMED, PASS, Contact, Kind, Module, ModuleError, Settings

class Echo(Module):
    name = "echo"

    class Config(Settings):
        word: Annotated[str, Meta(description="what it says")] = "hi"
        times: Annotated[int, Meta(ge=1, le=9, description="how often")] = 1
        mood: Literal["kind", "gruff"] = "kind"
        token: str = ""
        address: str = "echo"

    def on_start(self):
        if self.config.word == "bad":
            raise ModuleError("word: not this one")
        self.context.register(Contact(address=self.config.address, kind=Kind.SERVICE, online=True))

    def on_message(self, message):
        if message.to != self.config.address:
            return PASS
        self.reply(message, self.config.word * self.config.times)
        return CONSUMED
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "echo.py").write_text(ECHO)
    path = tmp_path / "conf" / "gateway.conf"
    path.parent.mkdir()
    path.write_text(TEXT.replace("FOLDER", str(tmp_path)))
    return path


@pytest.fixture
async def root(tmp_path: Path, file: Path) -> AsyncIterator[GatewayClient]:
    async with town(tmp_path, file=file), GatewayClient.connect(tmp_path, "root") as client:
        yield client


async def change(
    client: GatewayClient, confirm_s: float = 60.0, **values: str | None
) -> control.SettingsOnTrial:
    return await client.ask(control.ChangeSettings("echo", dict(values), confirm_s), control.SettingsOnTrial)


async def echo(client: GatewayClient) -> str:
    client.say("echo", "?")
    return (await heard(client, "echo")).body


async def audit(client: GatewayClient) -> list[tuple[str, str, str]]:
    lines = (await client.ask(control.Audit(text="settings"), control.AuditPage)).lines
    return [(each.who, each.what, each.result) for each in lines]


async def test_a_form_has_all_keys_with_what_they_take_and_no_secret(root: GatewayClient) -> None:
    found = await root.ask(control.GetSettings("echo"), control.ModuleSettings)
    keys = {each.key: each for each in found.settings}
    assert (keys["word"].value, keys["word"].given, keys["word"].help) == ("hello", True, "what it says")
    times = keys["times"]
    assert (times.given, times.default, times.min, times.max) == (False, "1", 1, 9)
    assert keys["times"].expected == "a whole number from 1 to 9"
    assert set(keys["mood"].choices) == {"kind", "gruff"}
    assert set(keys["on_fail"].choices) == {"skip", "drop"}
    assert keys["token"].value == "hidden"
    assert found.where.endswith("gateway.conf:7")
    second = await root.ask(control.GetSettings("echo#2"), control.ModuleSettings)
    assert {each.key: each.value for each in second.settings if each.given} == {"address": "second"}


async def test_what_is_confirmed_stands_in_the_file_and_nothing_else_changes(
    root: GatewayClient, file: Path
) -> None:
    before = file.read_text()
    file.chmod(0o640)
    trial = await change(root, word="ho", times="2", token=None)
    assert await echo(root) == "hoho"
    assert file.read_text() == before
    await root.ask(control.ConfirmSettings(trial.pending.change), control.SettingsKept)
    after = before.replace("word = hello  ", "word = ho  ").replace("    token = s3cret\n", "    times = 2\n")
    assert file.read_text() == after
    assert file.stat().st_mode & 0o777 == 0o640
    assert list(file.parent.iterdir()) == [file]
    assert (await root.ask(control.Reload(), control.Reloaded)).changes == []
    assert await echo(root) == "hoho"
    assert await audit(root) == [
        ("root", "settings on trial", "word, times, token"),
        ("root", "settings kept", "word, times, token"),
    ]


async def test_what_nobody_confirms_is_taken_back(root: GatewayClient, file: Path) -> None:
    before = file.read_text()
    trial = await change(root, confirm_s=1.0, word="ho")
    assert await echo(root) == "ho"
    async with asyncio.timeout(10):
        while await echo(root) != "hello":
            await asyncio.sleep(0.1)
    with pytest.raises(Denied, match="does not wait any more"):
        await root.ask(control.ConfirmSettings(trial.pending.change), control.SettingsKept)
    assert file.read_text() == before
    assert (await audit(root))[-1] == ("gateway", "settings taken back", "word")


async def test_who_does_not_like_it_takes_it_back_at_once(root: GatewayClient) -> None:
    trial = await change(root, word="ho")
    assert trial.changes
    with pytest.raises(Denied, match="a change of root's to echo waits"):
        await change(root, word="hu")
    await root.ask(control.RevertSettings(trial.pending.change), control.Reloaded)
    assert await echo(root) == "hello"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"times": "10"}, "times = '10': expected a whole number from 1 to 9"),
        ({"wrod": "x"}, "unknown key 'wrod'; did you mean 'word'?"),
        ({"word": "one\nloud = yes"}, "can't be changed here by a program"),
        ({"word": "one # two"}, "can't be changed here by a program"),
        ({"word": "http://hidden@there"}, "word: what it is now is hidden"),
        ({"token": "hidden"}, "token: what it is now is hidden; leave it out to keep it"),
        ({"word": "bad"}, "nothing was changed: echo: kept as it was"),
    ],
)
async def test_what_a_file_would_not_take_is_refused(
    root: GatewayClient, file: Path, values: dict[str, str | None], reason: str
) -> None:
    with pytest.raises(Denied) as denied:
        await change(root, **values)
    assert reason in str(denied.value)
    assert await echo(root) == "hello"
    assert (await root.ask(control.GetSettings("echo"), control.ModuleSettings)).pending is None


async def test_a_file_that_was_changed_meanwhile_is_left_alone(root: GatewayClient, file: Path) -> None:
    trial = await change(root, word="ho")
    mine = file.read_text().replace("log_level = info", "log_level = debug")
    file.write_text(mine)
    with pytest.raises(Denied, match="has been changed meanwhile"):
        await root.ask(control.ConfirmSettings(trial.pending.change), control.SettingsKept)
    assert file.read_text() == mine


async def test_who_reloads_has_what_the_file_says(root: GatewayClient) -> None:
    trial = await change(root, word="ho")
    await root.ask(control.Reload(), control.Reloaded)
    assert await echo(root) == "hello"
    with pytest.raises(Denied, match="does not wait any more"):
        await root.ask(control.RevertSettings(trial.pending.change), control.Reloaded)
    assert await change(root, word="hu")


async def test_a_gateway_without_a_file_says_so(tmp_path: Path, file: Path) -> None:
    async with town(tmp_path, file.read_text()), GatewayClient.connect(tmp_path, "root") as root:
        with pytest.raises(Denied, match="echo stands in no file"):
            await change(root, word="ho")
        with pytest.raises(Denied, match="no module 'ehco'"):
            await root.ask(control.GetSettings("ehco"), control.ModuleSettings)


SPELLINGS = [
    "module a {\n}\n",
    "module a { }\nmodule b\n",
    "module a {}\n",
    "module a\n",
    "module a {  # why\n  x = 1\n}\n",
    "module a { x = 1 }\n",
    "module = a {\n\tx = 1 # one\n\n\tx = 2\n}\n",
    "module a {\r\n  x =\r\n}\r\n",
    "k = v\nmodule a {\n  x = {y}   /** z **/\n}\nmodule b { x = 1 }\n",
]


@given(
    text=st.sampled_from(SPELLINGS),
    values=st.dictionaries(
        st.sampled_from(["x", "y", "z"]),
        st.none() | st.text(alphabet="ab1 ,#={}\n", max_size=6).map(str.strip),
        min_size=1,
    ),
)
@settings(max_examples=100)
def test_an_edited_file_says_what_was_meant(text: str, values: dict[str, str | None]) -> None:
    before = conf.parse(text)
    try:
        after = conf.parse(conf.edited(text, "a.conf", 0, values))
    except ConfigError:
        return
    assert (after.globals, after.blocks[1:]) == (before.globals, before.blocks[1:])
    first = {item.key: item.value for item in reversed(before.blocks[0].items)}
    wanted = {key: value for key, value in {**first, **values}.items() if value is not None}
    assert {item.key: item.value for item in reversed(after.blocks[0].items)} == wanted


@pytest.mark.parametrize("text", SPELLINGS)
def test_usual_spellings_can_be_edited(text: str) -> None:
    for values in ({"x": "5"}, {"y": "7"}, {"x": "5", "y": "7, 8"}):
        found = conf.parse(conf.edited(text, "a.conf", 0, dict(values))).blocks[0]
        known = {item.key: item.value for item in reversed(found.items)}
        assert values.items() <= known.items()
