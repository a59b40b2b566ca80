"""One plan that is carried out: several boards at once, and one message that tells how far they are."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Final

from boardtalk.modules.flash.workers import CANCELLED, Told, work
from boardtalk.sdk import Code, Flag, Message, Refused, State, Status
from boardtalk.sdk.audit import Attempt, audited
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from boardtalk.modules.flash.plans import Item, Plan
    from boardtalk.sdk import Context

AT_ONCE: Final = 4
"""So many boards; the others wait."""
TELL_S: Final = 1.0
"""Between two edits of the message."""
DOING: Final = {"write": "flashed", "push": "updated", "rollback": "rolled back"}
MEANWHILE: Final = {
    "flash": "No program runs meanwhile, so nothing moves; a `stop` is kept for its start, and this goes on",
    "ota": "A `stop` is heard all the while; it stands, and this goes on",
}
"""What a stop does to what is going on."""
NOTE: Final = "run "
"""Notes that begin so tell the next gateway what this one had under way."""
STARTED: Final = Status(code=Code.DELIVERED, state=State.STARTED)


class Line:
    """How far one board is."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.step = "waits for its turn"
        self.end: Told | None = None
        self.cancelled = asyncio.Event()
        self._done = self._total = 0
        self._first: tuple[float, int] | None = None

    @property
    def percent(self) -> str:
        """As a person is told: ``40 %``, or the step."""
        return f"{100 * self._done // self._total} %" if self._total else self.step

    def take(self, told: Told, now: float) -> None:
        """Note what a worker told at `now`."""
        if told.event == "step" and told.step != "note":
            self.step, self._done, self._total, self._first = told.step, 0, 0, None
        elif told.event == "progress":
            self.step = told.step
            if self._first is None or told.total != self._total or told.done < self._done:
                self._first = now, told.done
            self._done, self._total = told.done, told.total
        elif told.event == "ended":
            self.end = told

    @property
    def result(self) -> str:
        """How it ended."""
        return self._ended(self.end) if self.end else "did not end"

    @property
    def note(self) -> str:
        """What else there is to say of a success."""
        if self.end is None or not self.end.ok or not (self.item.is_new and self.end.program):
            return self.end.note if self.end else ""
        return f"it needs an address: `/adopt {self.end.id} NAME`, by an admin"

    def text(self, now: float) -> str:
        """The line, for people."""
        if self.end is not None:
            return f"{self.item.robot}: {self.result}"
        if not self._total:
            return f"{self.item.robot}: {self.step}"
        parts = [f"{self.item.robot}: {self.step} {self.percent} of {_size(self._total)}"]
        if rate := self._rate(now):
            parts += [f"{_size(rate)}/s", f"{(self._total - self._done) / rate:.0f} s left"]
        return ", ".join(parts)

    def shown(self, now: float) -> dict[str, Any]:
        """The same for programs."""
        end, rate = self.end, self._rate(now)
        told = {
            "robot": self.item.robot,
            "step": self.step,
            "done": self._done,
            "total": self._total,
            "rate": rate,
            "left_s": (self._total - self._done) / rate if rate else None,
            "before": self.item.before,
            "cancelled": self.cancelled.is_set(),
        }
        if end is None:
            return told
        how = {"ok": end.ok, "now": self._now(end), "code": end.code, "reason": self._reason(end)}
        return told | {"end": how | {"cure": end.cure, "note": self.note}}

    def _rate(self, now: float) -> float:
        """Bytes a second; 0 while nobody knows."""
        began, before = self._first or (now, self._done)
        return (self._done - before) / (now - began) if now > began else 0.0

    def _now(self, end: Told) -> str:
        return end.program or end.firmware or self.item.name

    def _reason(self, end: Told) -> str:
        return end.reason.removeprefix(f"{self.item.robot}: ").removeprefix(f"{self.item.port}: ")

    def _ended(self, end: Told) -> str:
        if not end.ok:
            how = "cancelled" if end.code == CANCELLED else f"FAILED ({end.code})"
            return f"{how}: {self._reason(end)}{f'. Next: {end.cure}' if end.cure else ''}"
        now = self._now(end)
        written = f", {_size(end.written)} written in {end.seconds:.0f} s" if end.seconds else ""
        note = f"; {self.note}" if self.note else ""
        return f"done: {self.item.before or 'unknown'} → {now}{written}{note}"


class Run:
    """A plan under way.

    Args:
        context: of the module.
        address: whom people hear.
        plan: what is done.
        message: what confirmed it.
    """

    def __init__(self, context: Context, address: str, plan: Plan, message: Message) -> None:
        self.plan = plan
        self.lines = {item.robot: Line(item) for item in plan.items}
        self._context = context
        self._address = address
        self.message = message
        self._id = secrets.token_hex(6)
        self._shown = ""
        self.begun = False

    def busy(self, robot: str) -> str:
        """Why a robot does nothing else just now."""
        doing, line = DOING[self.plan.act], self.lines[robot]
        return f"{robot} is being {doing} by {self.plan.user}, {line.percent}; say it again when that is over"

    def cancel(self, robots: Iterable[str]) -> None:
        """End what is under way of these, as soon as that leaves their boards as they can go on."""
        for robot in robots:
            self.lines[robot].cancelled.set()

    def shown(self, now: float, robots: Container[str]) -> dict[str, Any]:
        """How far it is with these robots, for programs."""
        return {
            "id": self._id,
            "user": self.plan.user,
            "word": self.plan.word,
            "act": self.plan.act,
            "lines": [line.shown(now) for robot, line in self.lines.items() if robot in robots],
        }

    async def go(self) -> Status:
        """Do it; how it ended."""
        self.begun = True
        self._remember()
        self._context.report(self.message, STARTED)
        self._shown = self._text()
        self._send(self._shown, refid=self.message.id, aid=self.message.aid, id=self._id)
        slots = asyncio.Semaphore(AT_ONCE)
        telling = asyncio.create_task(self._tell(), name="progress")
        try:
            async with asyncio.TaskGroup() as tasks:
                for line in self.lines.values():
                    tasks.create_task(self._one(line, slots), name=f"{self.plan.act} {line.item.robot}")
        finally:
            await cancel_and_wait(telling)
        status = self._status()
        self._edit(self._text(over=True), status)
        self._context.report(self.message, status)
        del self._context.notes[f"{NOTE}{self._id}"]
        return status

    def _status(self) -> Status:
        """How it ended, in all."""
        ended = {robot: line.end for robot, line in self.lines.items()}
        failed = [robot for robot, end in ended.items() if not (end and end.ok)]
        if not failed:
            return Status(code=Code.DONE, state=State.DONE)
        codes = {end.code for end in ended.values() if end and not end.ok}
        word, state = ("cancelled", State.CANCELLED) if codes == {CANCELLED} else ("failed", State.FAILED)
        return Status(code=Code.FAILED, state=state, detail=f"{word}: {', '.join(failed)}")

    async def _one(self, line: Line, slots: asyncio.Semaphore) -> None:
        async with slots:
            if line.cancelled.is_set():
                line.end = Told(event="ended", code=CANCELLED, reason="cancelled before it began")
                self._remember()
                return
            line.step = "begins"
            plan, item = self.plan, line.item
            attempt = Attempt(plan.user, f"/{plan.word} {plan.act}", item.robot, item.what)
            async with audited(self._context.state, attempt) as entry:
                await self._work(line)
                entry.result = f"{item.what}: {line.result}"
        if line.end is not None and line.end.ok is False:
            self._context.log.warning("failed", robot=line.item.robot, reason=line.end.reason)
        self._remember()

    async def _work(self, line: Line) -> None:
        what = order(self._context, self.plan, line.item)
        async with aclosing(work(self.plan.word, what, line.cancelled)) as told:
            async for each in told:
                line.take(each, self._context.now())
                if each.event == "step" and each.detail:
                    self._context.explain(self.message, f"{line.item.robot} {each.step}", each.detail)

    async def _tell(self) -> None:
        """Let who waits see how far it is, by editing the one message."""
        while True:
            await asyncio.sleep(TELL_S)
            text = self._text()
            if text != self._shown:
                self._shown = text
                self._edit(text)

    def _text(self, *, over: bool = False) -> str:
        lines = [line.text(self._context.now()) for line in self.lines.values()]
        ended = [line.end for line in self.lines.values() if line.end]
        again = (
            f"`/{self.plan.word} {self.plan.target} {'rollback' if self.plan.act == 'rollback' else 'plan'}`"
        )
        if over and any(not end.ok for end in ended):
            lines.append(f"{again} again goes on where it broke off, and leaves alone what is done")
        if self.plan.robots:
            lines.append(
                "What was stopped for it stays so until `rearm`" if over else MEANWHILE[self.plan.word]
            )
        good = sum(end.ok for end in ended)
        failed = sum(not end.ok and end.code != CANCELLED for end in ended)
        head = [f"{good} of {len(self.lines)} done, {failed} failed"] if len(self.lines) > 1 else []
        return "\n".join([*head, *lines])

    def _edit(self, text: str, status: Status | None = None) -> None:
        flags = Flag.REPLACES if status else Flag.REPLACES | Flag.TRANSIENT
        self._send(text, status, refid=self._id, flags=flags)

    def _send(self, text: str, status: Status | None = None, **more: Any) -> None:
        with suppress(Refused):  # too much is said in all: the next one tells more
            message = Message(sender=self._address, to=self.plan.user, body=text, **more)
            self._context.send(message, status)

    def _remember(self) -> None:
        """Note, for the next gateway, what is under way and what has ended."""
        self._context.notes[f"{NOTE}{self._id}"] = {
            "to": self.plan.user,
            "word": self.plan.word,
            "target": self.plan.target,
            "lines": {
                robot: line.text(self._context.now()) if line.end else ""
                for robot, line in self.lines.items()
            },
        }


def interrupted(run_id: str, note: Mapping[str, Any], address: str) -> Message:
    """What the next gateway tells of a run that the one before had under way."""
    word, target = note["word"], note["target"]
    left = "broke off: gateway or module were restarted in the middle"
    if word == "flash":
        left += "; it may not start as it is, and is not broken"
    lines = [text or f"{robot}: {left}" for robot, text in note["lines"].items()]
    lines.append(f"`/{word} {target} plan` goes on where it is")
    return Message(sender=address, to=note["to"], body="\n".join(lines), refid=run_id, flags=Flag.REPLACES)


def order(context: Context, plan: Plan, item: Item) -> dict[str, Any]:
    """What a worker is told to do."""
    common = {"what": plan.act, "robot": item.robot, "sha256": item.sha256, "by": plan.user}
    common["state"] = str(context.state)
    if plan.word == "ota":
        return {**common, "release": str(item.file)}
    options: dict[str, Any] = {"erase": plan.erase, "backup": plan.backup, "new": item.is_new}
    if item.program is not None:
        options |= {"program": str(item.program), "program_sha256": item.program_sha256}
    return {**common, "board": item.kind, "image": str(item.file), **options}


def _size(count: float) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
