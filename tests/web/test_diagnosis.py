"""A diagnosis has what helps, and none of the secrets that lie about: each of these is a canary."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from boardtalk.modules.iot_bridge.ota.keys import make_key
from boardtalk.sdk import Role
from tests.scenarios.rig import boardtalk

from .house import PASSWORD, House

CANARIES = {
    "a key of a setting": "canary-of-a-key",
    "a Wi-Fi": "canary-of-wifi",
    "a URL": "canary-of-a-url",
    "the environment": "canary-of-the-environment",
    "a log": "canary-of-a-log",
}
TALKER = f"""
from boardtalk.sdk import Module, ModuleError, Settings


class Talker(Module):
    name = "talker"

    class Config(Settings):
        api_key: str = ""
        wifi_psk: str = ""
        url: str = ""

    def on_start(self):
        self.context.log.warning("careless", key=self.config.api_key, password={CANARIES["a log"]!r})
        self.context.log.warning("came to " + self.config.url)
        raise ModuleError("no network with " + self.config.wifi_psk)
"""
CONF = f"""
log_level = info
module_folders = {{folder}}
listen {{{{
  port = 0
}}}}
module iot_bridge {{{{
  discover = no
}}}}
module talker {{{{
  api_key = {CANARIES["a key of a setting"]}
  wifi_psk = {CANARIES["a Wi-Fi"]}
  url = https://me:{CANARIES["a URL"]}@example.org/
}}}}
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway with secrets of all kinds."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "talker.py").write_text(TALKER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOARDTALK_WIFI_PASSWORD", CANARIES["the environment"])
        with House(folder, CONF.format(folder=folder)) as house:
            yield house


def members(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        return {name: packed.read(name).decode() for name in packed.namelist()}


def secrets_of(house: House) -> dict[str, str]:
    """What lies in its folder, line by line and value by value; whoever adds a secret there adds a canary."""
    found = {}
    for path in (house.state / "secrets").rglob("*"):
        if path.is_file() and path.suffix not in {".crt", ".copy"}:
            text = path.read_text()
            values = json.loads(text) if text[0] in "[{" else None
            rows = values["content"] if isinstance(values, dict) and "content" in values else []
            lines = [] if values else text.splitlines()
            named = [
                row[key] for row in rows for key in ("token", "password", "hash", "stamp") if row.get(key)
            ]
            found |= {f"{path.name} {number}": each for number, each in enumerate([*named, *lines])}
    return found


def test_a_diagnosis_from_the_page_and_from_the_shell_has_what_helps_and_no_secret(
    watched: House, tmp_path: Path
) -> None:
    token = watched.token()
    eve = watched.settled("eve")
    watched.add("vera", Role.VIEWER)
    watched.add("otto", Role.OPERATOR)
    make_key(watched.state)
    assert watched.cli("tls").code == 0
    answer = eve.get("/diagnosis")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert answer.headers["cache-control"] == "no-store"
    file = tmp_path / "here.zip"
    done = watched.cli("diagnose", str(file))
    assert done.code == 0, done.text
    assert file.stat().st_mode & 0o777 == 0o600
    assert watched.cli("diagnose", str(file)).code == 1, "it writes over nothing"

    canaries = {**CANARIES, **secrets_of(watched), "set-up": token, "cookie": eve.cookie.partition("=")[2]}
    assert {"ota.key", "server.key", "users.json", "sessions.json"} <= {name.split()[0] for name in canaries}
    canaries["password"] = PASSWORD
    for data in (answer.content, file.read_bytes()):
        found = members(data)
        for name, text in found.items():
            for where, canary in canaries.items():
                assert canary not in text, f"{where} is in {name}"
        assert "module talker {" in found["configuration.conf"]
        assert "api_key = hidden" in found["configuration.conf"]
        assert "careless" in found["log.txt"]
        assert json.loads(found["system.json"])["disk_free_bytes"] > 0
        assert "talker" in {each["name"] for each in json.loads(found["modules.json"])}
        assert "no gateway" not in found["doctor.json"]
        assert json.loads(found["doctor.json"])[0]["severity"] == "fine"
        assert json.loads(found["boards.json"]) == []
        assert json.loads(found["versions.json"])["packages"]["boardtalk"]
        assert "store.db" in json.loads(found["files.json"])


def test_only_who_administers_gets_one(watched: House) -> None:
    assert watched.browser().get("/diagnosis").status_code == 401
    for name in ("vera", "otto"):
        browser = watched.browser()
        browser.log_in(name)
        refused = browser.get("/diagnosis")
        assert (refused.status_code, "admin" in refused.json()["reason"]) == (403, True)


def test_without_a_gateway_the_shell_still_tells_what_there_is(tmp_path: Path) -> None:
    conf = tmp_path / "gateway.conf"
    conf.write_text(CONF.format(folder=tmp_path))
    state = tmp_path / "state"
    state.mkdir()
    done = boardtalk("diagnose", str(tmp_path / "dead.zip"), "--conf", str(conf), state=state)
    assert done.code == 0, done.text
    found = members((tmp_path / "dead.zip").read_bytes())
    assert "control.sock" in found["system.json"]
    assert "api_key = hidden" in found["configuration.conf"]
    assert not [each for each in CANARIES.values() if each in "".join(found.values())]
