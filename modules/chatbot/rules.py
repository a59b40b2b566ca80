r"""The engine `rules`: answers by patterns, offline, from a file and from the rules that stand here.

A rule is a line ``PATTERN | PATTERN … => ANSWER``. In a pattern, ``*`` stands for any words or none,
``{name}`` for one word or more, and ``{robot}`` for the address of a robot that is here. The answer
may hold those names, ``{user}``, ``{bot}``, ``{robots}`` (all that are here), ``{can}`` (what ``{robot}``
understands), and ``\n``, which begins a new line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk.modules.chatbot.commands import manual, told
from boardtalk.modules.chatbot.engine import NoAnswer
from boardtalk.sdk import ModuleError
from boardtalk.sdk.text import line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from boardtalk.modules.chatbot.engine import Question

MAX_WORDS: Final = 200
"""Of a question."""
MAX_PATTERNS: Final = 500
"""Of all rules of a file."""
MAX_FILE_BYTES: Final = 256 * 1024
PUNCTUATION: Final = "?!.,;:@\"'()"
"""Means nothing around a word, in patterns and in questions."""
ENDS: Final = "?!.,; "
"""Means nothing behind what a pattern caught."""
ANY: Final = "*"
ROBOT: Final = "{robot}"

BUILT_IN: Final = r"""
hello * | hi * | hey * | good morning * | good day * | good evening * => \
    Hello {user}, I am {bot}. Type `help` to learn what I can do.
thanks * | thank you * => You are welcome.
bye * | goodbye * => Goodbye, {user}.
help | ? | who are you | what can you do => I pass on what you want from robots:\n\
    - `robots` lists those that are here\n\
    - `what can ROBOT do` lists what one understands\n\
    - `tell ROBOT to COMMAND` or `ROBOT COMMAND`: I tell it so, once you said yes\n\
    To stop a robot don't ask me: type `stop`.
robots | list robots | which robots * | what robots * | who is here | who is there => {robots}
{robot} | {robot} help | {robot} ? | help {robot} | what can {robot} do | what does {robot} * => {can}
please {robot} {command} | {robot} please {command} | {robot} {command} => @{robot}: {command}
tell {robot} to {command} | tell {robot} {command} => @{robot}: {command}
ask {robot} to {command} | ask {robot} for {command} | ask {robot} {command} => @{robot}: {command}
please tell {robot} to {command} | please ask {robot} to {command} => @{robot}: {command}
* => I did not understand that. Type `help` to learn what I can do.
"""

_NAME: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_PROVIDED: Final = frozenset({"user", "bot", "robots", "can"})


class _Part(NamedTuple):
    """A gap, and the words behind it."""

    gap: str | None
    """Its name; `ANY`: it has none and may be empty; None, of a pattern's first part: no gap."""
    words: tuple[str, ...]


class Pattern:
    """One way to say something.

    Raises:
        ValueError: it makes no sense.
    """

    def __init__(self, text: str) -> None:
        self.parts = tuple(_parts(text.split()))
        names = [part.gap for part in self.parts if part.gap not in (None, ANY)]
        names += [word for part in self.parts for word in part.words if word == ROBOT]
        if len(names) != len(set(names)):
            raise ValueError("a name stands twice in a pattern")
        self.names = {name.strip("{}") for name in names if name}

    @property
    def fits_all(self) -> bool:
        """Whether it is `*` alone."""
        return self.parts == (_Part(None, ()), _Part(ANY, ()))

    def match(
        self, words: Sequence[str], plain: Sequence[str], robots: Iterable[str]
    ) -> dict[str, str] | None:
        """What the names stand for, or None if it does not fit.

        Args:
            words: as they were typed.
            plain: the same, in lower case and without punctuation.
            robots: addresses.
        """
        caught: dict[str, str] = {}
        at = 0
        for number, part in enumerate(self.parts):
            least = at + (part.gap not in (None, ANY))
            last = number == len(self.parts) - 1
            place = self._place(part, plain, least, robots, at_end=last and part.gap is not None)
            if place is None:
                return None
            if part.gap not in (None, ANY):
                caught[str(part.gap)] = " ".join(words[at:place]).rstrip(ENDS)
            for word, found in zip(part.words, plain[place:], strict=False):
                if word == ROBOT:
                    caught["robot"] = found
            at = place + len(part.words)
        return caught if at == len(plain) and all(caught.values()) else None

    def _place(
        self, part: _Part, plain: Sequence[str], least: int, robots: Iterable[str], *, at_end: bool
    ) -> int | None:
        """Where a part's words stand: the first place from `least` on, or at the very end."""
        latest = len(plain) - len(part.words)
        if part.gap is None:
            places = range(min(1, latest + 1))
        else:
            places = range(max(least, latest) if at_end else least, latest + 1)
        for place in places:
            following = plain[place : place + len(part.words)]
            if all(_same(word, found, robots) for word, found in zip(part.words, following, strict=True)):
                return place
        return None


class Rule(NamedTuple):
    """Patterns and what is answered to them."""

    patterns: tuple[Pattern, ...]
    answer: str

    @property
    def fits_all(self) -> bool:
        """Whether it answers what nothing else answers."""
        return all(pattern.fits_all for pattern in self.patterns)


class Rules:
    """Answers by the first rule that fits; those for everything come last.

    Args:
        own: rules that go before those built in.
        address: of the chatbot.
    """

    def __init__(self, own: Sequence[Rule], address: str) -> None:
        rules = [*own, *parse(BUILT_IN, "built in")]
        self._rules = sorted(rules, key=lambda rule: rule.fits_all)
        self._address = address

    async def answer(self, question: Question) -> str:
        """See `Engine`."""
        words = question.text.split()
        if len(words) > MAX_WORDS:
            raise NoAnswer(f"that is too long: I understand at most {MAX_WORDS} words")
        plain = [_plain(word) for word in words]
        robots = {robot.address for robot in question.robots}
        for rule in self._rules:
            for pattern in rule.patterns:
                caught = pattern.match(words, plain, robots)
                if caught is not None:
                    return self._filled(rule.answer, caught, question)
        raise NoAnswer("there is no rule for that")

    def _filled(self, answer: str, caught: dict[str, str], question: Question) -> str:
        names = {"user": question.user, "bot": self._address, **caught}
        if "{robots}" in answer:
            names["robots"] = _listed(question)
        if "{can}" in answer:
            robot = next(each for each in question.robots if each.address == caught["robot"])
            names["can"] = manual(robot) if robot.commands else f"{robot.address} takes no commands from you"
        return _NAME.sub(lambda found: names[found[1]], answer)


def parse(text: str, where: str) -> list[Rule]:
    r"""The rules of a file. A `\` at the end of a line joins it with the next one.

    Raises:
        ModuleError: one of them makes no sense; the text says where.
    """
    rules: list[Rule] = []
    for number, each in _lines(text):
        try:
            rules.append(_rule(each))
        except ValueError as error:
            raise ModuleError(f"{where}:{number}: {error}") from error
    patterns = sum(len(rule.patterns) for rule in rules)
    if patterns > MAX_PATTERNS:
        raise ModuleError(f"{where}: {patterns} patterns are more than the limit of {MAX_PATTERNS}")
    return rules


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """What is not empty and no comment, with the number of its first line."""
    first, begun = 0, ""
    for number, each in enumerate([*text.split("\n"), ""], start=1):
        stripped = each.strip()
        if not begun and stripped.startswith("#"):
            continue
        first = first if begun else number
        begun += stripped
        if begun.endswith("\\"):
            begun = begun[:-1]
            continue
        if begun:
            yield first, begun
        begun = ""


def _rule(text: str) -> Rule:
    left, arrow, answer = text.partition("=>")
    answer = answer.strip()
    if not (arrow and answer):
        raise ValueError(f"expected PATTERN => ANSWER, not {line(text, 60)!r}")
    patterns = tuple(Pattern(each) for each in left.split("|"))
    for pattern in patterns:
        known = pattern.names | (_PROVIDED if "robot" in pattern.names else _PROVIDED - {"can"})
        for name in _NAME.findall(answer):
            if name not in known:
                what = "needs {robot} in each pattern" if name == "can" else "is in not all of its patterns"
                raise ValueError(f"{{{name}}} of the answer {what}")
    return Rule(patterns, answer.replace("\\n", "\n"))


def _parts(words: list[str]) -> Iterator[_Part]:
    if not words:
        raise ValueError("a pattern is empty")
    gap: str | None = None
    behind: list[str] = []
    for word in words:
        name = _NAME.fullmatch(word)
        if word != ANY and (word == ROBOT or name is None):
            behind.append(word if word == ROBOT else _plain(word))
            continue
        if gap is not None and not behind:
            raise ValueError(f"{word} needs a word between it and the one before")
        if name and name[1] in _PROVIDED:
            raise ValueError(f"{word} means something else already: choose another name")
        yield _Part(gap, tuple(behind))
        gap, behind = name[1] if name else ANY, []
    yield _Part(gap, tuple(behind))


def _plain(word: str) -> str:
    return word.strip(PUNCTUATION).casefold() or word


def _same(word: str, found: str, robots: Iterable[str]) -> bool:
    return found in robots if word == ROBOT else word == found


def _listed(question: Question) -> str:
    if not question.robots:
        return "No robot is here just now."
    return "\n".join(
        f"- {robot.address}{f': {told(robot.state, 20)}' if robot.state else ''}"
        f"{f', {told(robot.about, 80)}' if robot.about else ''}"
        for robot in question.robots
    )
