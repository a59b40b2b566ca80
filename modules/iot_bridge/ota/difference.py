"""What a new release changes of what a robot can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from boardtalk.modules.iot_bridge.dictionary import Dictionary

KINDS: Final = {"commands": "command", "telemetry": "telemetry", "events": "event", "controls": "control"}
VALUES: Final = ("args", "returns", "values")


def differences(before: Dictionary, after: Dictionary) -> list[str]:
    """A line for each entry that came (+), went (-) or changed (~)."""
    lines = []
    for kind, word in KINDS.items():
        old = {entry.name: _facts(entry) for entry in getattr(before, kind)}
        new = {entry.name: _facts(entry) for entry in getattr(after, kind)}
        lines += [f"- {word} {name}" for name in old.keys() - new.keys()]
        lines += [f"+ {word} {name}" for name in new.keys() - old.keys()]
        for name in old.keys() & new.keys():
            changed = ", ".join(_changes(old[name], new[name]))
            lines += [f"~ {word} {name}: {changed}"] if changed else []
    return sorted(lines, key=lambda line: line[2:])


def missed(lines: Iterable[str]) -> list[str]:
    """Of such lines, the commands and controls that people may use, and that are gone or changed."""
    words = (line.replace(":", "").split(" ") for line in lines if line[0] in "-~")
    return [name for _, word, name, *_ in words if word in {"command", "control"}]


def _facts(entry: msgspec.Struct) -> dict[str, Any]:
    """All that is said of an entry, flat: `distance max` is 500."""
    facts = {}
    for key, fact in msgspec.to_builtins(entry).items():
        if key not in VALUES:
            facts[key] = fact
            continue
        for value in fact:
            name = f"{value['name']} (returned)" if key == "returns" else value["name"]
            facts |= {
                name if each == "type" else f"{name} {each}": it
                for each, it in value.items()
                if each != "name"
            }
    return facts


def _changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield f"{key} {_shown(old.get(key))} → {_shown(new.get(key))}"


def _shown(fact: Any) -> str:
    return "–" if fact in {None, ""} or fact == [] else str(fact)
