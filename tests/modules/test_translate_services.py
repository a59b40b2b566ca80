"""The translator's engines: real HTTP servers that speak as Google or LibreTranslate do, and Argos."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from boardtalk import conf, loader
from boardtalk.loader import Instance
from boardtalk.modules.translate import Translate
from boardtalk.sdk import ModuleError
from boardtalk.testing import Bench, bench

from .servers import Answer, Service, chunked, never, raw, service, silent

TEXT = 'sag "Grüße",\n\\ <b>\u2603</b>'
PEOPLE = "languages = alice: de, bob: en"


def libre(text: object) -> bytes:
    """What LibreTranslate's ``/translate`` answers."""
    return json.dumps({"alternatives": [], "translatedText": text}).encode()


def google(text: object, **more: str) -> bytes:
    """What Google's ``/language/translate/v2`` answers."""
    return json.dumps({"data": {"translations": [{"translatedText": text, **more}]}}).encode()


def refusal(status: int, message: str) -> bytes:
    """How Google refuses."""
    errors = [{"message": message, "domain": "global", "reason": "invalid"}]
    return json.dumps({"error": {"code": status, "message": message, "errors": errors}}).encode()


def settings_of(engine: str, server: Service, *more: str) -> str:
    """The lines for an engine, whose server is on loopback."""
    endpoint = {"libretranslate": server.url, "google": f"{server.url}/language/translate/v2"}[engine]
    secret = ["api_key = AIza-secret"] if engine == "google" and not more else []
    return "\n".join([f"endpoint = {endpoint}", PEOPLE, *secret, *more])


BODIES = {"libretranslate": libre, "google": google}
both = pytest.mark.parametrize("engine", ["libretranslate", "google"])


async def read_by_bob(gateway: Bench, text: str = "Hallo") -> str:
    """What bob reads when alice writes something."""
    before = len(gateway.inbox("bob"))
    await gateway.ended(gateway.say("alice", "bob", text))
    return gateway.inbox("bob")[before].body


# What is asked ----------------------------------------------------------------------------------


async def test_libretranslate_is_asked_as_documented() -> None:
    async with (
        service(raw("200 OK", libre("say …"))) as server,
        bench(Translate, settings_of("libretranslate", server, "api_key = key-secret")) as gateway,
    ):
        assert await read_by_bob(gateway, TEXT) == f"say …\n(de: {TEXT})"
        [request] = server.requests
        assert request.path == "/translate"
        assert request.headers["content-type"] == "application/json"
        assert request.body == {
            "q": TEXT,
            "source": "de",
            "target": "en",
            "format": "text",
            "api_key": "key-secret",
        }


async def test_google_is_asked_as_documented() -> None:
    more = ("access_token = ya29.secret", "project = shop-1")
    async with (
        service(raw("200 OK", google("say …"))) as server,
        bench(Translate, settings_of("google", server, *more)) as gateway,
    ):
        assert await read_by_bob(gateway, TEXT) == f"say …\n(de: {TEXT})"
        [request] = server.requests
        assert request.path == "/language/translate/v2"
        assert request.body == {"q": TEXT, "source": "de", "target": "en", "format": "text"}
        assert request.headers["authorization"] == "Bearer ya29.secret"
        assert request.headers["x-goog-user-project"] == "shop-1"


async def test_google_takes_a_key_too_and_finds_out_languages() -> None:
    lines = ("api_key = AIza-secret", "source = auto", "target = en")
    async with (
        service(raw("200 OK", google("Hello", detectedSourceLanguage="fr"))) as server,
        bench(Translate, settings_of("google", server, *lines).replace(PEOPLE, "")) as gateway,
    ):
        assert await read_by_bob(gateway, "Salut") == "Hello\n(fr: Salut)"
        [request] = server.requests
        assert request.headers["x-goog-api-key"] == "AIza-secret"
        assert "authorization" not in request.headers
        assert "AIza" not in request.path
        assert "source" not in request.body


async def test_the_block_of_the_original_module_works_as_it_is() -> None:
    async with (
        service(raw("200 OK", google("Bonjour"))) as server,
        bench(
            Translate,
            f"endpoint = {server.url}/language/translate/v2\naccess_token = xxxxxx.Kl6iBzVH7dvV2X \n"
            "source = en\ntarget = fr\nlog = 1",
        ) as gateway,
    ):
        assert await read_by_bob(gateway, "Hello") == "Bonjour\n(en: Hello)"
        assert server.requests[0].headers["authorization"] == "Bearer xxxxxx.Kl6iBzVH7dvV2X"


async def test_a_key_in_a_file_is_read_for_each_text(tmp_path: Path) -> None:
    key = tmp_path / "key"
    async with (
        service(raw("200 OK", libre("Hello"))) as server,
        bench(Translate, settings_of("libretranslate", server, f"api_key_file = {key}")) as gateway,
    ):
        key.write_text("first\n")
        await read_by_bob(gateway, "Hallo eins")
        key.write_text("second\n")
        await read_by_bob(gateway, "Hallo zwei")
        assert [each.body["api_key"] for each in server.requests] == ["first", "second"]
        key.write_text("two words")
        wrong = await read_by_bob(gateway, "Hallo drei")
        assert "that is no token" in wrong
        assert "two words" not in wrong


# How it is answered -----------------------------------------------------------------------------


@both
async def test_an_answer_in_pieces_is_put_together(engine: str) -> None:
    async with (
        service(chunked(BODIES[engine]("Grüße \u2603"))) as server,
        bench(Translate, settings_of(engine, server)) as gateway,
    ):
        assert await read_by_bob(gateway) == "Grüße \u2603\n(de: Hallo)"


async def test_a_server_that_does_not_say_which_language_it_found_is_taken_as_it_is() -> None:
    async with (
        service(raw("200 OK", libre("Hello"))) as server,
        bench(Translate, f"endpoint = {server.url}\nsource = auto\ntarget = en") as gateway,
    ):
        assert await read_by_bob(gateway) == "Hello\n(original: Hallo)"


async def test_a_translation_is_made_fit_to_be_shown() -> None:
    async with (
        service(raw("200 OK", libre(" a\x1b[31m\u202eb\r\nc \u0000"))) as server,
        bench(Translate, settings_of("libretranslate", server)) as gateway,
    ):
        assert await read_by_bob(gateway) == "a[31mb\nc\n(de: Hallo)"


@both
@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        ("200 OK", b"<html>hello</html>", "answers what I don't understand"),
        ("200 OK", b'{"translatedText": "Hel', "answers what I don't understand"),
        ("200 OK", b"\xff\xfe", "answers what I don't understand"),
        ("200 OK", b"", "answers what I don't understand"),
        ("200 OK", b'{"data": []}', "answers what I don't understand"),
        ("200 OK", b"[1, 2]", "answers what I don't understand"),
        ("200 OK", b"[" * 100_000, "answers what I don't understand"),
        ("200 OK", None, "answers what I don't understand .*Expected `str`"),
        ("200 OK", "", "the translation is empty"),
        ("200 OK", "x" * 300_000, "answers more than 262144 bytes"),
        ("500 Oops", b"", "refuses .status 500.: it has a fault of its own, try later"),
        ("404 Not Found", b"<html>", "refuses .status 404."),
        ("429 Too Many", b'{"error": "Slowdown"}', "try later, says: Slowdown"),
        ("302 Found", b"", "refuses .status 302.: is `endpoint` right"),
    ],
)
async def test_a_failure_says_what_to_do(engine: str, status: str, body: Any, problem: str) -> None:
    content = body if isinstance(body, bytes) else BODIES[engine](body)
    async with (
        service(raw(status, content)) as server,
        bench(Translate, settings_of(engine, server)) as gateway,
    ):
        shown = await read_by_bob(gateway)
        assert re.match(rf"Hallo\n\(not translated: .*{problem}.*\)\Z", shown), shown
        assert len(shown) < 250
        assert shown.replace("\n", "").isprintable()


async def test_google_without_translations_is_a_failure() -> None:
    async with (
        service(raw("200 OK", b'{"data": {"translations": []}}')) as server,
        bench(Translate, settings_of("google", server)) as gateway,
    ):
        assert "Google answers without a translation" in await read_by_bob(gateway)


@pytest.mark.parametrize(
    ("engine", "status", "body", "problem"),
    [
        ("google", "400 Bad Request", refusal(400, "Invalid Value"), "a language that it does not know"),
        ("google", "401 Unauthorized", refusal(401, "Expired"), "a Google token lasts an hour"),
        ("google", "403 Forbidden", refusal(403, "Disabled"), "is the Cloud Translation API enabled"),
        ("libretranslate", "400 Bad Request", b'{"error": "xx is not supported"}', "xx is not supported"),
        ("libretranslate", "403 Forbidden", b'{"error": "Get a key"}', "the key is missing or not valid"),
    ],
)
async def test_a_refusal_says_what_to_do(engine: str, status: str, body: bytes, problem: str) -> None:
    async with service(raw(status, body)) as server, bench(Translate, settings_of(engine, server)) as gateway:
        assert problem in await read_by_bob(gateway)


@both
@pytest.mark.parametrize(("answer", "problem"), [(silent, "0.2 s; is "), (never, "0.2 s")])
async def test_a_server_that_does_not_answer_is_given_up(engine: str, answer: Answer, problem: str) -> None:
    async with (
        service(answer) as server,
        bench(Translate, f"{settings_of(engine, server)}\ntimeout = 0.2") as gateway,
    ):
        shown = await read_by_bob(gateway)
        assert "not translated" in shown
        assert problem in shown


@both
async def test_a_server_that_is_not_there_is_asked_for(engine: str) -> None:
    async with service(silent) as server:
        settings = settings_of(engine, server)
    async with bench(Translate, settings) as gateway:
        assert f"running at {server.url}" in await read_by_bob(gateway)


async def test_keys_and_texts_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    answers = (raw("200 OK", google("my translation")), raw("403 No", refusal(403, "bad AIza-secret")))
    async with (
        service(*answers) as server,
        bench(Translate, f"{settings_of('google', server)}\nlog = 0") as gateway,
    ):
        await read_by_bob(gateway, "mein Text")
        shown = await read_by_bob(gateway, "mein zweiter")
        logged = capsys.readouterr()
        text = logged.out + logged.err
        assert "translated" in text
        assert "status 403" in text
        for secret in ("AIza-secret", "mein Text", "my translation"):
            assert secret not in text + shown


# In a process of its own ------------------------------------------------------------------------


def isolated(server: Service, *more: str) -> Instance:
    """The module with ``isolate = yes``."""
    lines = "\n".join([settings_of("libretranslate", server), "isolate = yes", *more])
    [instance] = loader.plan(conf.parse(f"module translate {{\n{lines}\n}}")).instances
    return instance


async def test_isolated_it_translates_from_the_first_message_on() -> None:
    async with (
        service(raw("200 OK", libre("Hello"))) as server,
        bench(isolated(server, "network = yes")) as gateway,
    ):
        for text in ("Hallo", "Hallo Bob"):
            assert await read_by_bob(gateway, text) == f"Hello\n(de: {text})"


async def test_isolated_without_network_it_does_not_start_and_says_what_it_needs() -> None:
    async with service(silent) as server:
        with pytest.raises(ModuleError, match="`network = yes` in `module translate` grants it"):
            async with bench(isolated(server)):
                pass


# Argos ------------------------------------------------------------------------------------------

STAND_IN = '''
"""Stands in for Argos Translate, with the functions of it that are used."""
import os

class Translation:
    def translate(self, text):
        if text == "explode":
            raise RuntimeError("no memory")
        if text == "end":
            os._exit(3)
        return f"{text} in English"

class Language:
    def __init__(self, code, to):
        self.code, self.to = code, to

    def get_translation(self, to):
        return Translation() if to.code in self.to else None

def get_installed_languages():
    return [Language("de", ["en"]), Language("en", [])]
'''


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package `argostranslate` that is none: its models are not to be had without a download."""
    package = tmp_path / "argostranslate"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "translate.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(str(tmp_path))


ARGOS = f"engine = argos\n{PEOPLE}\nwait = 0.9"


@pytest.mark.usefixtures("stand_in")
async def test_argos_translates_in_a_process_of_its_own() -> None:
    async with bench(Translate, ARGOS) as gateway:
        gateway.say("alice", "bob", "Hallo")  # the process takes a moment to start: it may come late
        assert (await gateway.hears("bob", "in English")).body == "Hallo in English\n(de: Hallo)"
        assert await read_by_bob(gateway, "Hallo Bob") == "Hallo Bob in English\n(de: Hallo Bob)"


@pytest.mark.usefixtures("stand_in")
async def test_argos_without_a_package_for_two_languages_says_how_to_get_it() -> None:
    async with bench(Translate, ARGOS) as gateway:
        gateway.say("bob", "alice", "hello")
        note = await gateway.hears("alice", "no package from en to de")
        assert "languages installed: de, en): `argospm update`, then `argospm install trans" in note.body


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(("text", "problem"), [("explode", "no memory"), ("end", "Argos Translate failed")])
async def test_argos_that_fails_harms_nobody(text: str, problem: str) -> None:
    async with bench(Translate, ARGOS) as gateway:
        gateway.say("alice", "bob", text)
        assert (await gateway.hears("bob", problem)).body


@pytest.mark.usefixtures("stand_in")
async def test_argos_does_not_find_out_languages() -> None:
    async with bench(Translate, "engine = argos\nsource = auto\ntarget = en") as gateway:
        assert "does not find out languages" in await read_by_bob(gateway)


async def test_without_argos_the_engine_says_how_to_install_it() -> None:
    with pytest.raises(ModuleError, match=r"pip install 'boardtalk\[translate\]'"):
        async with bench(Translate, ARGOS):
            pass
