"""The engine `dialogflow`: an agent of Google's Dialogflow ES, by its REST API of version 2."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from boardtalk.modules.chatbot.engine import NoAnswer
from boardtalk.modules.chatbot.web import FORBIDDEN, NOT_FOUND, TOO_MANY, UNAUTHORIZED, Web
from boardtalk.sdk import json_extract

if TYPE_CHECKING:
    from boardtalk.modules.chatbot.engine import Question
    from boardtalk.modules.chatbot.settings import ChatbotSettings
    from boardtalk.sdk import Context

RENEW = (
    "the token is not valid: a Google token lasts an hour; have `gcloud auth application-default "
    "print-access-token` write a new one into the file of `access_token_file`"
)
CURES = {
    UNAUTHORIZED: RENEW,
    FORBIDDEN: "the account of this token may not use the project (role Dialogflow API Client)",
    NOT_FOUND: "there is no such project or agent, see the key `project`",
    TOO_MANY: "its quota is used up, try later",
}


class Dialogflow:
    """Has an agent answer. The agent remembers a conversation by itself, by its session."""

    def __init__(self, context: Context, settings: ChatbotSettings) -> None:
        self._settings = settings
        self._web = Web(context, settings, "Dialogflow", CURES)

    async def answer(self, question: Question) -> str:
        """See `Engine`."""
        query = {"text": {"text": question.text, "languageCode": self._settings.language}}
        _, data = await self._web.post(self._url(question.user), {"queryInput": query}, dict[str, Any])
        found = json_extract(data, self._settings.response_field)
        if isinstance(found, str) and found.strip():
            return found
        field = self._settings.response_field
        if found == "":
            raise NoAnswer("the agent has no answer to that: ask otherwise, or teach it this intent")
        raise NoAnswer(f"Dialogflow's answer has no text {field!r}: see the key `responseField`")

    def _url(self, user: str) -> str:
        """Where a user's questions go: he has one session, and keeps it."""
        session = hashlib.sha256(f"{self._settings.address}/{user}".encode()).hexdigest()[:32]
        project = quote(self._settings.project, safe="")
        return f"{self._settings.url}/projects/{project}/agent/sessions/{session}:detectIntent"
