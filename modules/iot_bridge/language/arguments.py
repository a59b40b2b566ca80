"""The arguments of a command as people type them: which word is which. Pure."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from boardtalk.modules.iot_bridge.language import units
from boardtalk.modules.iot_bridge.language.manual import example, usage
from boardtalk.modules.iot_bridge.language.values import NUMBER, BadArgument, fold, guess, read_value, said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from boardtalk.modules.iot_bridge.dictionary import Command, Control, Value

NUMERIC: Final = frozenset({"int", "float"})

_WORD: Final = re.compile(
    r"""\s*  (?:(?P<name>[^\W\d]\w*)\s*[=＝]\s*)?
    (?P<value> "(?P<quoted>(?:[^"\\]|\\.)*)"(?!\S) | “(?P<curly>[^”]*)”(?!\S) | \S*)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED: Final = re.compile(r'\\(["\\])')


class Given(NamedTuple):
    """What was typed for an argument."""

    spec: Value
    text: str
    named: bool


class _Word(NamedTuple):
    name: str
    """What stands before `=`, folded; "" if nothing does."""
    text: str
    """Without its quotes."""
    quoted: bool
    start: int
    value_start: int
    end: int


def read_arguments(command: Command | Control, text: str) -> dict[str, Any]:
    """All arguments as checked values, by name, from what follows the command.

    Raises:
        BadArgument: one is missing, too much, or does not fit.
    """
    given = {each.spec.name: read_value(each.spec, each.text) for each in assign(command, text)}
    return {
        spec.name: given[spec.name] if spec.name in given else _default(command, spec)
        for spec in command.args
    }


def assign(command: Command | Control, text: str) -> Iterator[Given]:
    """Each argument that is given, in the order of typing.

    Raises:
        BadArgument: a word is too much, or names an argument that is not there or given already.
    """
    missing = {spec.name: spec for spec in command.args}
    words = deque(_words(text))
    named = False
    while words:
        word = words.popleft()
        takes_rest = [spec.type for spec in missing.values()] == ["str"]
        if word.name and (not takes_rest or any(word.name == spec.name for spec in command.args)):
            named, start = True, word.value_start
            spec = _named(command, missing, word.name)
        else:
            start = word.start
            spec = _next(command, missing, text[start : word.end], named=named)
        del missing[spec.name]
        if takes_rest:
            alone = not words and start == word.value_start
            yield Given(spec, word.text if alone else text[start:], named)
            return
        if spec.type in NUMERIC and not word.name:
            _refuse_apart(command, word, words)
        following = None if named else next(iter(missing.values()), None)
        if words and not word.quoted and _is_unit(spec, word.text, words[0], following):
            unit = words.popleft()
            if units.convert(1, unit.text, spec.unit) is None:
                _refuse_apart(command, unit, words)
            yield Given(spec, f"{word.text} {unit.text}", named)
        else:
            yield Given(spec, word.text, named)


def _words(text: str) -> Iterator[_Word]:
    for found in _WORD.finditer(text):
        if not found[0].strip():
            continue
        quoted = found["quoted"] if found["curly"] is None else found["curly"]
        yield _Word(
            name=fold(found["name"] or "").lower(),
            text=found["value"] if quoted is None else _ESCAPED.sub(r"\1", quoted),
            quoted=quoted is not None,
            start=found.start("name") if found["name"] else found.start("value"),
            value_start=found.start("value"),
            end=found.end(),
        )


def _is_unit(spec: Value, number: str, word: _Word, following: Value | None) -> bool:
    """Whether a word is the unit of the number before it, and not the argument `following`."""
    parts = NUMBER.fullmatch(fold(number))
    if spec.type not in NUMERIC or parts is None or parts[2]:
        return False
    if word.name or word.quoted or NUMBER.match(fold(word.text)):
        return False
    if units.convert(1, word.text, spec.unit) is not None:
        return True
    known = spec.unit or units.find(word.text)  # else it is a word too much, not a wrong unit
    return bool(known) and (following is None or following.type in NUMERIC)


def _named(command: Command | Control, missing: dict[str, Value], name: str) -> Value:
    if name in missing:
        return missing[name]
    names = [spec.name for spec in command.args]
    if name in names:
        raise _misuse(command, f"{name} is given twice")
    hint = guess(name, names)
    raise _misuse(command, f"{command.name} has no argument {said(name)}{hint and '; '}{hint}")


def _next(command: Command | Control, missing: dict[str, Value], text: str, *, named: bool) -> Value:
    if not missing:
        raise _misuse(command, f"{said(text)} is too much")
    if named:
        raise _misuse(command, f"{said(text)} follows a named argument: name it too")
    return next(iter(missing.values()))


def _refuse_apart(command: Command | Control, word: _Word, words: deque[_Word]) -> None:
    """Refuse `speed 40` where a number, or its unit, is due: `speed=40` is meant."""
    name = fold(word.text).lower()
    if words and not word.quoted and any(name == spec.name for spec in command.args):
        raise _misuse(command, f"write {name}={words[0].text}")


def _default(command: Command | Control, spec: Value) -> Any:
    """What the board declares, checked like what people type."""
    if spec.default is None:
        raise _misuse(command, f"{spec.name} is missing")
    typed = ("off", "on")[spec.default] if isinstance(spec.default, bool) else str(spec.default)
    try:
        return read_value(spec, typed)
    except BadArgument as error:
        raise _misuse(command, f"{spec.name} is missing, and the board's own default does not fit") from error


def _misuse(command: Command | Control, problem: str) -> BadArgument:
    return BadArgument("\n".join((problem, usage(command), example(command))))
