"""The engine `openai`: a language model behind ``/v1/chat/completions``, as Ollama and llama.cpp have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.modules.chatbot.commands import manual
from boardtalk.modules.chatbot.engine import NoAnswer
from boardtalk.modules.chatbot.memory import Memory, Turn, tokens
from boardtalk.modules.chatbot.web import FORBIDDEN, NOT_FOUND, TOO_MANY, UNAUTHORIZED, Web
from boardtalk.sdk.text import cut

if TYPE_CHECKING:
    from boardtalk.modules.chatbot.engine import Question
    from boardtalk.modules.chatbot.settings import ChatbotSettings
    from boardtalk.sdk import Context

FORGET: Final = "forget"
"""Said alone, it begins a new conversation."""
ROLE: Final = (
    "You are {address}, a helper in a chat between people and robots. "
    "Answer briefly, in plain text, in the language of the question."
)
TEACHING: Final = """\
To have a robot do something, write each command on a line of its own, exactly like this:
@ROBOT: COMMAND
for example `@rover: forward 20`, without any decoration. Use only robots and commands of the list below, \
at most three in one answer, and only if the user asks for it. The user is asked to confirm; you never see \
whether it was done, so don't say that it was. You can't stop robots: for that the user types `stop` himself.
Robots, and what this user may tell them:
"""
CURES: Final = {
    UNAUTHORIZED: "the token is missing or not valid: see the keys `access_token` and `access_token_file`",
    FORBIDDEN: "this token may not use the model: see the keys `access_token` and `model`",
    NOT_FOUND: "there is no such model, or `endpoint` is not right; for Ollama type `ollama pull {model}`, "
    "and let `endpoint` end with /v1",
    TOO_MANY: "it has too much to do or its quota is used up, try later",
}
THINKS: Final = "<think>"
THOUGHT: Final = "</think>"
"""Some models think aloud; that is no answer."""


class _Said(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Said


class _Completion(msgspec.Struct):
    choices: list[_Choice]


class OpenAI:
    """Has a language model answer; remembers conversations, in memory only."""

    def __init__(self, context: Context, settings: ChatbotSettings) -> None:
        self._settings = settings
        cures = {status: cure.format(model=settings.model) for status, cure in CURES.items()}
        self._web = Web(context, settings, "Ollama (or your server)", cures)
        self._memory = Memory(settings.context_tokens)

    async def answer(self, question: Question) -> str:
        """See `Engine`."""
        if question.text.strip().casefold() == FORGET:
            self._memory.forget(question.user)
            return "Forgotten: we begin anew."
        messages = self._messages(question)
        url = f"{self._settings.url}/chat/completions"
        body = {"model": self._settings.model, "messages": messages, "stream": False}
        completion, _ = await self._web.post(url, body, _Completion)
        text = _without_thoughts(completion)
        if not text:
            raise NoAnswer("the model answers nothing: ask otherwise, or type `forget` to begin anew")
        self._memory.keep(question.user, Turn(question.text, text))
        return text

    def _messages(self, question: Question) -> list[dict[str, str]]:
        """All that is sent, within the limit.

        Raises:
            NoAnswer: the question alone is too long.
        """
        told = self._told(question)
        left = self._settings.context_tokens - tokens(told) - tokens(question.text)
        if left < 0:
            raise NoAnswer("that is too long: make it shorter (the key `context_tokens` sets the limit)")
        messages = [{"role": "system", "content": told}]
        for turn in self._memory.recall(question.user, left):
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": turn.answer})
        return [*messages, {"role": "user", "content": question.text}]

    def _told(self, question: Question) -> str:
        """What the model is told beforehand; robots take at most a third of the limit."""
        parts = [ROLE.format(address=self._settings.address), self._settings.system_prompt]
        if self._settings.commands:
            robots = "\n".join(manual(robot) for robot in question.robots) or "none is here"
            parts.append(TEACHING + cut(robots, self._settings.context_tokens))
        return "\n".join(part for part in parts if part)


def _without_thoughts(completion: _Completion) -> str:
    text = (completion.choices[0].message.content or "") if completion.choices else ""
    text = text.rpartition(THOUGHT)[2].strip()
    return "" if text.startswith(THINKS) else text
