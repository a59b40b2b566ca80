"""What modules measure: told to who watches, as it comes, and kept for a while in memory for who comes later.

Never stored, and never in anybody's way: who reads slowly misses the oldest.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import deque
from typing import TYPE_CHECKING, Final

from boardtalk.checked import checked_values
from boardtalk.events import Values
from boardtalk.sdk import Code, Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from boardtalk.events import Sample
    from boardtalk.hub.sessions import Session

MAX_KEPT: Final = 1200
"""Samples of a series of numbers: 19 kB."""
KEEP_EVERY_S: Final = 0.5
"""Of what comes faster, so many are kept: ten minutes."""
MAX_TEXTS: Final = 100
"""Kept of a series of texts: at most 40 kB."""
MAX_SERIES: Final = 128
"""Of one address."""
MAX_ALL: Final = 1024
"""Of all addresses; of more, the past is not kept."""
TELL_EVERY_S: Final = 0.1
MAX_WAITING: Final = 50
"""Samples of a series for one session; of more, the oldest are dropped."""
MAX_BACKLOG: Final = 100
"""Events that a session has not read yet: until then it is told nothing more."""
MAX_WATCHED: Final = 64
"""Addresses, by one session."""


class Series:
    """All that is measured, by address and name. Called from the event loop's thread."""

    def __init__(self) -> None:
        self._past: dict[str, dict[str, _Past]] = {}
        self._watchers: dict[str, dict[Session, _Watcher]] = {}

    def publish(self, address: str, values: Mapping[str, float | str], at: float | None) -> bool:
        """Take what was measured at a time, UTC seconds, None: now. Whether somebody watches.

        Raises:
            ValueError: it can't be told.
            Refused: this address has too many series.
        """
        when = round(time.time() if at is None else float(at), 3)
        samples = {name: (when, value) for name, value in checked_values(values).items()}
        past = self._past.setdefault(address, {})
        if len(past.keys() | samples.keys()) > MAX_SERIES:
            raise Refused(Code.FAILED, f"{address} has {MAX_SERIES} series, and no more")
        for name, sample in samples.items():
            if name not in past and sum(map(len, self._past.values())) >= MAX_ALL:
                continue
            past.setdefault(name, _Past()).add(sample)
        watchers = self._watchers.get(address, {})
        for watcher in watchers.values() if samples else ():
            watcher.take(samples)
        return bool(watchers)

    def past(self, address: str) -> dict[str, list[Sample]]:
        """What is kept of an address, by name, oldest first."""
        return {name: past.samples() for name, past in self._past.get(address, {}).items()}

    def watch(self, session: Session, address: str, names: Collection[str]) -> None:
        """Tell a session what is measured from now on: these series, or all; anew if it watched already.

        Raises:
            Refused: it watches too much.
        """
        self.unwatch(session, address)
        if sum(session in watchers for watchers in self._watchers.values()) >= MAX_WATCHED:
            raise Refused(Code.BUSY, f"{MAX_WATCHED} are watched already")
        self._watchers.setdefault(address, {})[session] = _Watcher(session, address, frozenset(names))

    def unwatch(self, session: Session, address: str) -> None:
        """Tell it no more."""
        watchers = self._watchers.get(address, {})
        if watcher := watchers.pop(session, None):
            watcher.close()
            if not watchers:
                del self._watchers[address]

    def leave(self, session: Session) -> None:
        """A session is gone."""
        for address in [address for address, watchers in self._watchers.items() if session in watchers]:
            self.unwatch(session, address)

    def forget(self, address: str) -> None:
        """Nobody answers for an address any more."""
        self._past.pop(address, None)


class _Past:
    """The recent past of one series, in flat arrays: a list of objects would be ten times as large."""

    def __init__(self) -> None:
        self._times = array("d")
        self._numbers = array("d")
        self._texts: deque[Sample] = deque(maxlen=MAX_TEXTS)

    def add(self, sample: Sample) -> None:
        """Keep it, if it is not too soon after the last one."""
        at, value = sample
        if isinstance(value, str):
            self._texts.append(sample)
        elif not self._times or not 0 <= at - self._times[-1] < KEEP_EVERY_S:
            self._times.append(at)
            self._numbers.append(value)
            if len(self._times) >= MAX_KEPT * 5 // 4:
                del self._times[:-MAX_KEPT], self._numbers[:-MAX_KEPT]

    def samples(self) -> list[Sample]:
        """All, oldest first."""
        numbers: list[Sample] = list(zip(self._times, self._numbers, strict=True))
        return sorted([*numbers, *self._texts], key=lambda sample: sample[0]) if self._texts else numbers


class _Watcher:
    """One session that watches one address."""

    def __init__(self, session: Session, address: str, names: frozenset[str]) -> None:
        self._session = session
        self._address = address
        self._names = names
        self._waiting: dict[str, deque[Sample]] = {}
        self._told = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def take(self, samples: Mapping[str, Sample]) -> None:
        """Tell it now, or as soon as it may be told again."""
        for name, sample in samples.items():
            if not self._names or name in self._names:
                self._waiting.setdefault(name, deque(maxlen=MAX_WAITING)).append(sample)
        if self._waiting and self._timer is None:
            loop = asyncio.get_running_loop()
            wait = max(0.0, self._told + TELL_EVERY_S - loop.time())
            self._timer = loop.call_later(wait, self._tell)

    def close(self) -> None:
        """Tell no more."""
        if self._timer:
            self._timer.cancel()

    def _tell(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer, self._told = None, loop.time()
        if self._session.backlog > MAX_BACKLOG:
            self._timer = loop.call_later(TELL_EVERY_S, self._tell)
            return
        told, self._waiting = self._waiting, {}
        self._session.push(Values(self._address, {name: list(each) for name, each in told.items()}))
