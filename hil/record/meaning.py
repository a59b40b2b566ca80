"""Whether a robot does today what it did then: by what it says, not by bytes and times. Pure."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from boardtalk.hil.record.compare import Divergence
from boardtalk.hil.record.steps import HangUp, Ring, Say, Script
from boardtalk.modules.iot_bridge.language.words import show, value_text
from boardtalk.modules.iot_bridge.service.api import ReportKind
from boardtalk.sdk import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from boardtalk.events import CallUpdate
    from boardtalk.hil.record.outcomes import Outcome, Outcomes
    from boardtalk.modules.iot_bridge.dictionary import Channel, Value

NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
REPORTS: Final = 2
"""Of a channel must be due before their absence says anything."""


class Meaning:
    """Compares what was recorded with what happens now.

    Args:
        then: the recording.
        now: what happens now; may grow.
        began: when the recording did.
        tolerance: of numbers that are measured: a fraction of them; of those below 1, of 1.
    """

    def __init__(self, then: Outcomes, now: Outcomes, began: float, tolerance: float) -> None:
        self._then = then
        self._now = now
        self._began = began
        self._tolerance = tolerance

    def of(self, say: Say, name: str) -> Divergence | None:
        """Of one message, which has `name` now."""
        then = self._then.ended(say.key)
        if then is None:  # the recording ends before
            return None
        now = self._now.ended((say.message.sender, name))
        if now is not None and self._same(then, now):
            return None
        where = f"{say.message.sender} → {say.message.to}: {say.message.body!r}"
        return self._divergence(then.at, where, _words(then), _words(now) if now else "it has not ended")

    def rest(self, script: Script, calls: dict[str, str], elapsed: float) -> Divergence | None:
        """All but messages: calls (`calls` has their ids of now), stops, and what the board told by itself.

        Args:
            script: what was done again, to its end.
            calls: by the ids of then.
            elapsed: seconds that it took.
        """
        return min((*self._calls(script, calls), *self._stops(), *self._reports(elapsed)), default=None)

    def _same(self, then: Outcome, now: Outcome) -> bool:
        if (then.state, then.command) != (now.state, now.command):
            return False
        if then.state is State.REJECTED:
            return then.reason == now.reason
        if not (then.values or now.values):
            return self._alike(then.reason, now.reason) and self._alike(then.answer, now.answer)
        declared = [
            [(spec.name, spec.type, spec.unit) for spec, _ in each] for each in (then.values, now.values)
        ]
        return declared[0] == declared[1] and all(
            self._equal(spec, old, new) for (spec, old), (_, new) in zip(then.values, now.values, strict=True)
        )

    def _equal(self, spec: Value, then: Any, now: Any) -> bool:
        if spec.type != "float" or None in (then, now):
            return bool(then == now)
        return self._close(then, now)

    def _close(self, then: float, now: float) -> bool:
        return abs(then - now) <= self._tolerance * max(1, abs(then), abs(now))

    def _alike(self, then: str, now: str) -> bool:
        """Texts with the same words, and measured numbers in them."""
        if NUMBER.sub("#", then) != NUMBER.sub("#", now):
            return False
        pairs = zip(NUMBER.findall(then), NUMBER.findall(now), strict=True)
        return all(a == b or ("." in a + b and self._close(float(a), float(b))) for a, b in pairs)

    # What is no message -------------------------------------------------------------------------

    def _calls(self, script: Script, ids: dict[str, str]) -> Iterator[Divergence]:
        hung_up = {step.call.id for step in script.steps if isinstance(step, HangUp)}
        for ring in script.rung:
            then = self._then.calls[ring.call.id]
            now = self._now.calls[ids.get(ring.call.id, "")]
            words = [_states(updates, reasons=ring.call.id not in hung_up) for updates in (then, now)]
            if not then or words[0] == words[1] or not then[-1].state.over:
                continue
            yield self._divergence(ring.at, _call(ring), *words)

    def _stops(self) -> Iterator[Divergence]:
        for then, now in zip_longest(self._then.stops, self._now.stops):
            if then is None or now is None:
                continue
            words = [
                "confirmed" if all(each.confirmed for each in notice.stopped) else "not confirmed"
                for _, notice in (then, now)
            ]
            if words[0] != words[1]:
                yield self._divergence(then[0], f"stop by {then[1].by}", *words)

    def _reports(self, elapsed: float) -> Iterator[Divergence]:
        channels = self._then.channels()
        for key, then in self._then.reports.items():
            kind, name = key
            where, at = f"{kind} {name} of {self._then.robot}", then[0][0]
            now = self._now.reports.get(key, [])
            if not now:
                if kind is ReportKind.EVENT or channels[key].rate * elapsed >= REPORTS:
                    told = show(then[0][1], channels[key].values, name)
                    yield self._divergence(at, where, f"{len(then)} times, first {told}".rstrip(" ,"), "")
            elif kind is ReportKind.TELEMETRY:
                yield from self._ranges(at, where, channels[key], then, now)

    def _ranges(
        self, at: float, where: str, channel: Channel, then: list[Any], now: list[Any]
    ) -> Iterator[Divergence]:
        """Values of telemetry that lie elsewhere: they follow the clock, so it is their ranges that count."""
        for spec in channel.values:
            old, new = (
                [v[spec.name] for _, v in told if _is_number(v.get(spec.name))] for told in (then, now)
            )
            if not (old and new):
                continue
            reach = self._tolerance * max(1, *map(abs, old))
            if min(new) > max(old) + reach or max(new) < min(old) - reach:
                yield self._divergence(at, f"{where}, {spec.name}", _range(spec, old), _range(spec, new))

    def _divergence(self, at: float, where: str, recorded: str, now: str) -> Divergence:
        return Divergence(at - self._began, where, recorded, now)


def _words(outcome: Outcome) -> str:
    asked = f"{outcome.command}; " if outcome.command else ""
    return f"{asked}{outcome.state}: {outcome.reason or outcome.answer}"


def _states(updates: list[CallUpdate], *, reasons: bool) -> str:
    return ", ".join(
        f"{each.state} ({each.reason})" if each.reason and reasons else str(each.state) for each in updates
    )


def _call(ring: Ring) -> str:
    return f"call of {ring.call.sender} to {ring.call.to} {ring.call.control}".rstrip()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _range(spec: Value, values: Sequence[float]) -> str:
    low, high = (value_text(spec, each) for each in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"
