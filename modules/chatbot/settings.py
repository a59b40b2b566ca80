"""The keys of ``module chatbot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from boardtalk.sdk import Settings, check_name

EngineName: TypeAlias = Literal["rules", "dialogflow", "openai"]

ENDPOINTS: Final = {
    "rules": "",
    "dialogflow": "https://dialogflow.googleapis.com/v2",
    "openai": "http://127.0.0.1:11434/v1",
}
"""Where an engine's service is, if nobody says otherwise."""


class ChatbotSettings(Settings):
    """What all engines take, and what each of them takes besides."""

    engine: Annotated[
        EngineName | None,
        Meta(
            description="what answers; default: `dialogflow` if there is a `project`, "
            "`openai` if there is a `model`, else `rules`"
        ),
    ] = None
    address: Annotated[str, Meta(description="address that the chatbot answers for")] = "chatbot"
    commands: Annotated[
        bool, Meta(description="whether it may pass commands on to robots, as the user who asked for them")
    ] = True
    rules: Annotated[Path | None, Meta(description="rules: file with further rules")] = None
    project: Annotated[str, Meta(description="dialogflow: id of the Google Cloud project")] = ""
    endpoint: Annotated[
        str,
        Meta(
            description="URL of the service; default: Google's for dialogflow, "
            "`http://127.0.0.1:11434/v1` (an Ollama on this machine) for openai"
        ),
    ] = ""
    access_token: Annotated[str, Meta(description="token that the service wants to see")] = ""
    access_token_file: Annotated[
        Path | None,
        Meta(description="file with that token, read anew for each question, as some expire soon"),
    ] = None
    language: Annotated[str, Meta(description="dialogflow: language of the questions, such as `en`")] = "en"
    response_field: Annotated[
        str, Meta(description="dialogflow: where the answer stands in the service's JSON")
    ] = msgspec.field(name="responseField", default="fulfillmentText")
    model: Annotated[str, Meta(description="openai: name of the language model")] = ""
    system_prompt: Annotated[
        str, Meta(description="openai: what the model is told beforehand, beside how to command robots")
    ] = ""
    context_tokens: Annotated[
        int,
        Meta(
            ge=500,
            le=32768,
            description="openai: size of what is sent, about; older parts of a conversation are left out",
        ),
    ] = 3000
    timeout: Annotated[
        float, Meta(ge=0.1, le=600, description="seconds until the service must have answered")
    ] = 60.0
    parallel: Annotated[
        int, Meta(ge=1, le=32, description="questions that the service gets at once, of all users together")
    ] = 2
    max_answer: Annotated[
        int, Meta(ge=100, le=12_000, description="characters of an answer; what is longer is cut")
    ] = 4000
    log: Annotated[
        int, Meta(ge=0, le=9, description="`verbosity` from which on each question is logged, without text")
    ] = 1

    def __post_init__(self) -> None:
        """See that the values go together.

        Raises:
            ValueError: they don't.
        """
        check_name(self.address)
        if self.access_token and self.access_token_file:
            raise ValueError("give access_token or access_token_file, not both")
        _check_endpoint(self.endpoint)
        match self.chosen:
            case "dialogflow":
                self._check_dialogflow()
            case "openai" if not self.model:
                raise ValueError("engine = openai needs the key 'model', such as: model = llama3.2")
        if self.rules and self.chosen != "rules":
            raise ValueError(f"the key 'rules' is for engine = rules, not for {self.chosen}")

    @property
    def chosen(self) -> EngineName:
        """The engine that answers."""
        if self.engine is not None:
            return self.engine
        if self.project:
            return "dialogflow"
        return "openai" if self.model else "rules"

    @property
    def url(self) -> str:
        """The service's address, without a slash at the end."""
        return (self.endpoint or ENDPOINTS[self.chosen]).rstrip("/")

    def _check_dialogflow(self) -> None:
        if not self.project:
            raise ValueError("engine = dialogflow needs the key 'project'")
        if not (self.access_token or self.access_token_file):
            raise ValueError("engine = dialogflow needs the key 'access_token' or 'access_token_file'")
        if not self.response_field:
            raise ValueError("responseField is empty: leave it away for fulfillmentText")


def _check_endpoint(url: str) -> None:
    if not url:
        return
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("endpoint: expected a URL such as http://127.0.0.1:11434/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("endpoint: no password, `?` or `#` belongs there; a token goes into access_token")
