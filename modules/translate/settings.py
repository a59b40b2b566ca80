"""The keys of ``module translate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from msgspec import Meta

from boardtalk.modules.translate.commands import Word, is_rearm, says_stop
from boardtalk.modules.translate.engine import AUTO
from boardtalk.modules.translate.languages import Pair, Speaker, check_language
from boardtalk.sdk import Settings, check_name

EngineName: TypeAlias = Literal["google", "libretranslate", "argos"]

GOOGLE_PATH: Final = "/language/translate/v2"
ENDPOINTS: Final = {
    "google": f"https://translation.googleapis.com{GOOGLE_PATH}",
    "libretranslate": "http://127.0.0.1:5000",
    "argos": "",
}
"""Where an engine's server is, if nobody says otherwise."""


class TranslateSettings(Settings):
    """Who speaks what, and who translates."""

    languages: Annotated[
        tuple[Speaker, ...],
        Meta(
            title="a list with commas, each NAME: LANGUAGE",
            description="what people and groups write and read; of a robot: what its commands are in",
        ),
    ] = ()
    pairs: Annotated[
        tuple[Pair, ...],
        Meta(
            title="a list with commas, each NAME NAME: LANGUAGE LANGUAGE",
            description="two who talk with each other in other languages; one language: without translation",
        ),
    ] = ()
    target: Annotated[
        str, Meta(description="what people read who are not in `languages`; none: they are left alone")
    ] = ""
    source: Annotated[
        str,
        Meta(description="what they write; `auto`: the engine finds out, each time; default: as `target`"),
    ] = ""
    vocabulary: Annotated[
        str, Meta(description="language of the commands of robots that are not in `languages`")
    ] = "en"
    words: Annotated[
        tuple[Word, ...],
        Meta(
            title="a list with commas, each WORDS: COMMAND",
            description="how commands begin in other languages: need no engine",
        ),
    ] = ()
    show: Annotated[
        Literal["both", "translation"],
        Meta(description="what people read: the translation, with or without the original below"),
    ] = "both"
    engine: Annotated[
        EngineName | None,
        Meta(
            description="what translates; default: `google` if `endpoint` ends with "
            f"`{GOOGLE_PATH}`, else `libretranslate`"
        ),
    ] = None
    endpoint: Annotated[
        str,
        Meta(
            description="URL of the server; default: Google's for google, "
            "`http://127.0.0.1:5000` (this machine) for libretranslate"
        ),
    ] = ""
    access_token: Annotated[str, Meta(description="google: token of an account")] = ""
    access_token_file: Annotated[
        Path | None, Meta(description="google: file with that token, read anew for each text")
    ] = None
    project: Annotated[str, Meta(description="google: project that pays, if the account needs one")] = ""
    api_key: Annotated[str, Meta(description="google, libretranslate: key in place of a token")] = ""
    api_key_file: Annotated[Path | None, Meta(description="file with that key, read anew for each text")] = (
        None
    )
    wait: Annotated[
        float,
        Meta(ge=0.05, le=0.9, description="seconds that a message waits for its translation at most"),
    ] = 0.8
    timeout: Annotated[
        float, Meta(ge=0.1, le=600, description="seconds until the engine must have answered")
    ] = 10.0
    parallel: Annotated[
        int, Meta(ge=1, le=32, description="texts that the server gets at once, of all people together")
    ] = 4
    address: Annotated[
        str,
        Meta(
            description="address that notes to people come from; "
            "default: `translate`, of a second instance `translate-2`"
        ),
    ] = ""
    log: Annotated[
        int,
        Meta(ge=0, le=9, description="`verbosity` from which on each translation is logged, without text"),
    ] = 1

    def __post_init__(self) -> None:
        """See that the values go together.

        Raises:
            ValueError: they don't.
        """
        check_name(self.address or "translate")
        for key, language in (("target", self.target), ("vocabulary", self.vocabulary)):
            _check(key, language)
        if self.source != AUTO:
            _check("source", self.source)
        if self.source and not self.target:
            raise ValueError("the key 'source' needs the key 'target'")
        if not (self.languages or self.pairs or self.target):
            raise ValueError("nobody's language is known: set `languages`, such as: alice: de, bob: en")
        self._check_lists()
        _check_endpoint(self.endpoint)
        self._check_secrets()

    @property
    def chosen(self) -> EngineName:
        """The engine that translates."""
        if self.engine is not None:
            return self.engine
        return "google" if self.endpoint.rstrip("/").endswith(GOOGLE_PATH) else "libretranslate"

    @property
    def url(self) -> str:
        """The server's address, without a slash at the end."""
        return (self.endpoint or ENDPOINTS[self.chosen]).rstrip("/")

    @property
    def writes(self) -> str:
        """What people write who are not in `languages`; "": nobody knows."""
        return self.source or self.target

    def _check_lists(self) -> None:
        speakers = [each.address for each in self.languages]
        if len(set(speakers)) < len(speakers):
            raise ValueError("languages: somebody stands there twice; `pairs` is for who speaks several")
        for each in self.words:
            if says_stop(each.meaning) or is_rearm(each.meaning):
                raise ValueError(f"words: {each}: robots are stopped and re-armed by these words alone")

    def _check_secrets(self) -> None:
        given = [
            key
            for key in ("access_token", "access_token_file", "api_key", "api_key_file")
            if getattr(self, key)
        ]
        if len(given) > 1:
            raise ValueError(f"give {' or '.join(given)}, not more than one")
        if self.chosen == "google" and not given:
            raise ValueError("engine = google needs the key 'api_key', 'access_token', or one of their files")
        if self.chosen != "google" and given and given[0].startswith("access_token"):
            raise ValueError(f"the key '{given[0]}' is for engine = google; LibreTranslate takes 'api_key'")


def _check(key: str, language: str) -> None:
    try:
        check_language(language or "en")
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _check_endpoint(url: str) -> None:
    if not url:
        return
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("endpoint: expected a URL such as http://127.0.0.1:5000")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("endpoint: no password, `?` or `#` belongs there; a key goes into api_key")
