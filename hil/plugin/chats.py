"""The fixture `chat`: a user, from the thread of a test."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from boardtalk.hil.plugin.rig import Result

if TYPE_CHECKING:
    from boardtalk.hil.plugin.rig import Done, Rig
    from boardtalk.hil.plugin.talk import Answer, Heard, Talk

TIMEOUT_S: Final = 15.0


class Motion(Result):
    """A command that has begun; `end` waits for its end."""

    def __init__(self, chat: Chat, name: str) -> None:
        self._chat = chat
        self._name = name

    def end(self, timeout: float = TIMEOUT_S) -> Answer:
        """What became of it."""
        return self._chat.answer(self._name, timeout)


class Chat:
    """A logged-in user. Each method waits; in an async test, await it.

    What does not come within `timeout` seconds, or never will, is a `ChatError`. That a robot refuses or
    fails is none: it stands in the answer's `state`.
    """

    def __init__(self, rig: Rig, talk: Talk) -> None:
        self._rig = rig
        self._talk = talk

    def send(self, to: str, text: str, timeout: float = TIMEOUT_S) -> Answer:
        """Say something and wait for what becomes of it: `chat.send("rover", "forward 20").state`."""
        return self._rig.run(partial(self._talk.send, to, text, timeout))

    def insist(self, to: str, text: str, timeout: float = TIMEOUT_S) -> Answer:
        """Say something until it is done, such as to a robot that has to come back first."""
        return self._rig.run(partial(self._talk.insist, to, text, timeout))

    def begin(self, to: str, text: str, timeout: float = TIMEOUT_S) -> Motion:
        """Say something and wait until it has begun: `motion = chat.begin("rover", "forward 200")`."""
        return self._rig.run(partial(self._begin, to, text, timeout))

    def answer(self, name: str, timeout: float = TIMEOUT_S) -> Answer:
        """What became of a message, by its id."""
        return self._rig.run(partial(self._talk.answer, name, timeout))

    def hears(self, pattern: str, timeout: float = TIMEOUT_S) -> Heard:
        """The next message to the user with a regular expression in it, after the one found last."""
        return self._rig.run(partial(self._talk.hears, pattern, timeout))

    def stop(self, robot: str = "") -> Done:
        """Stop a robot, or all, and wait until they say that their outputs are off: else a `ChatError`."""
        return self._rig.run(partial(self._talk.stop, robot))

    async def _begin(self, to: str, text: str, within: float) -> Motion:
        return Motion(self, await self._talk.begin(to, text, within))
