"""The module: who may, what is said back, and that nobody drives a robot meanwhile."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta

from boardtalk.modules.flash import fresh, requests
from boardtalk.modules.flash.planner import Planner
from boardtalk.modules.flash.plans import Plans
from boardtalk.modules.flash.requests import HELP, Pair, is_port
from boardtalk.modules.flash.run import NOTE, Run, interrupted
from boardtalk.sdk import (
    CONSUMED,
    PASS,
    SYSTEM,
    Call,
    Code,
    CommandInfo,
    Contact,
    Kind,
    Message,
    Module,
    Refused,
    Settings,
    State,
    Status,
    Verdict,
)
from boardtalk.sdk.audit import Attempt, audited

if TYPE_CHECKING:
    from collections.abc import Iterable

    from boardtalk.modules.flash.plans import Plan
    from boardtalk.modules.flash.requests import Request

MAX_TARGET_CHARS: Final = 200
"""In the audit, of what was denied."""
MAX_OVER: Final = 4
"""Runs that are shown after their end."""
DONE: Final = Status(code=Code.DONE, state=State.DONE)
INTERRUPTED: Final = Status(
    code=Code.FAILED, state=State.UNKNOWN, detail="broke off: gateway or module were restarted; plan it again"
)


class Flash(Module):
    """Answers `/flash` and `/ota`."""

    name = "flash"
    description = "replaces firmware and programs of robots from chat"
    version = "1"

    class Config(Settings):
        """Settings of the module; nobody may anything by default."""

        users: Annotated[
            tuple[str, ...],
            Meta(description="who may use it, for robots that they have the right to `flash`"),
        ] = ()
        boards: Annotated[
            tuple[Pair, ...],
            Meta(description="`ROBOT: BOARD`, an id of `boardtalk boards list`: what `/flash` may change"),
        ] = ()
        images: Annotated[
            Path | None, Meta(description="folder with `BOARD/IMAGE`: the only firmware that chat can name")
        ] = None
        new: Annotated[
            tuple[str, ...],
            Meta(description="kinds of boards that may be flashed before they have an address"),
        ] = ()
        programs: Annotated[
            tuple[Pair, ...], Meta(description="`ROBOT: PROGRAM`, a folder's name: what `/ota` may change")
        ] = ()
        releases: Annotated[
            Path | None,
            Meta(description="folder with `PROGRAM/RELEASE/`: the only ones that chat can name"),
        ] = None
        minutes: Annotated[int, Meta(ge=1, le=60, description="for which a plan's code counts")] = 5
        address: Annotated[str, Meta(description="address that it answers from")] = "flash"

    def on_start(self) -> None:
        """Be there, and tell what the gateway before had under way."""
        self._plans = Plans()
        self._planner = Planner(self.context, self.config)
        self._planning: dict[str, Message] = {}
        """By user, what he asked and is not answered yet."""
        self._runs: dict[str, Run] = {}
        """By robot."""
        self._over: deque[Run] = deque(maxlen=MAX_OVER)
        """Those that have ended, the newest last."""
        commands = tuple(
            CommandInfo(name=f"/{word}", help=text.partition("\n")[0], cls="flash")
            for word, text in HELP.items()
        )
        address = self.config.address
        self.context.register(
            Contact(
                address=address, kind=Kind.SERVICE, online=True, about=self.description, commands=commands
            )
        )
        for name in [name for name in self.context.notes if name.startswith(NOTE)]:
            message = interrupted(name.removeprefix(NOTE), self.context.notes[name], address)
            self.context.send(message, INTERRUPTED)
            del self.context.notes[name]

    def unfinished(self) -> Iterable[Message]:
        """What is under way ends with this instance; the next one says so."""
        return (*self._planning.values(), *(run.message for run in {*self._runs.values()}))

    def on_unfinished(self, message: Message) -> Verdict:
        """Nothing goes on by itself: a plan is void, and a run has ended with its gateway."""
        if not self._is_ours(message):
            return PASS
        self.context.report(message, INTERRUPTED)
        return CONSUMED

    def on_message(self, message: Message) -> Verdict:
        """Answer what is ours; refuse what is for a robot that is not there for anybody just now."""
        if message.to in self._runs and self._seen(message.sender, message.to):
            raise Refused(Code.BUSY, self._runs[message.to].busy(message.to))
        if not self._is_ours(message):
            return PASS
        sender = self.context.contact(message.sender)
        if sender is None or sender.kind is not Kind.USER:
            raise Refused(Code.DENIED, "only people flash robots")
        request = requests.read(self._text(message))
        if request is None:
            self._answer(message, HELP[requests.word(self._text(message)) or "flash"])
            return CONSUMED
        names = [each for each in request.target.split(",") if each]
        seen = (robot for name in names for robot in self._seen(message.sender, name))
        robots = tuple(dict.fromkeys(seen))
        if len({is_port(each) for each in names}) > 1:
            raise Refused(
                Code.FAILED, "robots, and boards without an address, are flashed one after the other"
            )
        self._allow(message, request, robots)
        self._require_known(message.sender, names)
        if request.act == "cancel":
            self._cancel(message, request, robots)
            return CONSUMED
        self._require_idle(robots)
        if request.act == "confirm":
            plan = self._confirmed(message, request)
            run = Run(self.context, self.config.address, plan, message)
            self._runs |= dict.fromkeys(run.lines, run)  # at once: nobody else may begin, nor drive them
            self.context.spawn(self._do(run, message), f"{plan.act} {plan.target}")
        elif message.sender in self._planning:
            raise Refused(Code.BUSY, "your last question is not answered yet")
        else:
            self._planning[message.sender] = message
            self.context.spawn(self._plan(message, request, robots), request.act)
        return CONSUMED

    def on_call(self, call: Call) -> Verdict:
        """Nobody steers a robot meanwhile."""
        if call.to in self._runs:
            raise Refused(Code.BUSY, self._runs[call.to].busy(call.to))
        return PASS

    async def on_show(self, user: str) -> dict[str, Any]:
        """What he may put on which robots, his plans, and how far is what is under way or just over.

        What can be chosen is told to those who may; how far a robot is, to whoever may ask it.
        """
        now = self.context.now()
        robots = [each.address for each in self.context.contacts() if each.kind is Kind.ROBOT]
        runs = [*self._over, *dict.fromkeys(self._runs.values())]
        seen = {each for each in robots if self.context.allowed(user, "see", each)}
        may_new = self._may(user, fresh.ANY)
        if may_new or self.context.allowed(user, "inspect", SYSTEM):
            seen |= {line for run in runs for line in run.lines if is_port(line)}
        return {
            "address": self.config.address,
            "offers": await self._planner.offers(each for each in robots if self._may(user, each)),
            "new": await self._planner.new() if may_new else None,
            "plans": [plan.shown(now) for plan in self._plans.of(user, now)],
            "runs": [run.shown(now, seen) for run in runs if seen & run.lines.keys()],
        }

    # Inside -------------------------------------------------------------------------------------

    def _may(self, user: str, robot: str) -> bool:
        return user in self.config.users and self.context.allowed(user, "flash", robot)

    def _require_known(self, user: str, names: Iterable[str]) -> None:
        """See that each name is a robot's that he may know of, or of a group with one. Raises Refused."""
        for name in names:
            if not self._seen(user, name):
                raise Refused(
                    Code.BAD_ADDRESS, f"there is no robot {name[:40]!r}, nor a group with one in it"
                )

    def _cancel(self, message: Message, request: Request, robots: Iterable[str]) -> None:
        """End what is under way of some robots, whoever began it."""
        busy = [robot for robot in robots if robot in self._runs]
        if not busy:
            raise Refused(Code.FAILED, f"nothing is under way on {request.target[:40]}")
        for robot in busy:
            self.context.log.warning("to be cancelled", robot=robot, by=message.sender)
            self._runs[robot].cancel([robot])
        self._answer(message, f"to be cancelled: {', '.join(busy)}")

    def _is_ours(self, message: Message) -> bool:
        by_word = message.to == SYSTEM and requests.word(message.body) is not None
        return by_word or message.to == self.config.address

    def _text(self, message: Message) -> str:
        """What was said, with its word: to our own address `flash` may be left out."""
        text = message.body.strip()
        return text if requests.word(text) else f"/flash {text}"

    def _seen(self, user: str, target: str) -> tuple[str, ...]:
        """The robot of this name, or those of this group, as far as a user may know of them; or a port."""
        if is_port(target):
            return (target,)
        return tuple(each for each in self.context.robots(target) if self.context.allowed(user, "see", each))

    def _allow(self, message: Message, request: Request, robots: Iterable[str]) -> None:
        user = message.sender
        try:
            if user not in self.config.users:
                raise Refused(Code.DENIED, f"{user} may not do that: `users` in `module flash` names who may")
            for robot in robots:
                if not is_port(robot):
                    self.context.require(user, "flash", robot)
                elif not self._may(user, fresh.ANY):
                    raise Refused(
                        Code.DENIED,
                        f"{user} may not flash a board without an address: that takes the right to `flash` "
                        "all robots, by a role or by a grant for `*`",
                    )
        except Refused:
            self.context.log.warning("not allowed", by=user, asked=message.body[:100])
            self._denied(message, request, "not allowed")
            raise
        self.context.explain(message, "allowed", f"flash for {user}")

    def _denied(self, message: Message, request: Request, why: str) -> None:
        """Have it in the audit."""

        async def note() -> None:
            attempt = Attempt(
                message.sender, f"/{request.word} {request.act}", request.target[:MAX_TARGET_CHARS]
            )
            async with audited(self.context.state, attempt) as entry:
                entry.result = f"denied: {why}"

        self.context.spawn(note(), "audit of what was denied")

    def _require_idle(self, robots: Iterable[str]) -> None:
        """See that nobody has one of them just now. Raises Refused."""
        for robot in robots:
            if robot in self._runs:
                raise Refused(Code.BUSY, self._runs[robot].busy(robot))

    def _confirmed(self, message: Message, request: Request) -> Plan:
        """The plan that a code confirms. Raises Refused."""
        now = self.context.now()
        try:
            plan = self._plans.take(message.sender, request.word, request.target, request.name, now)
        except Refused as refused:
            self.context.log.warning("not confirmed", by=message.sender, reason=refused.reason)
            self._denied(message, request, refused.reason)
            raise
        robots = [item.robot for item in plan.items]
        self._allow(message, request, robots)
        self._require_idle(robots)
        self.context.explain(message, "confirmed", "\n".join(item.about for item in plan.items))
        return plan

    async def _plan(self, message: Message, request: Request, robots: tuple[str, ...]) -> None:
        try:
            if request.act == "status":
                told = [await self._planner.status(message.sender, robot) for robot in robots]
                self._answer(message, "\n".join(told))
                return
            plan = await self._planner.plan(message.sender, request, robots)
        except Refused as refused:
            self._refuse(message, refused)
            return
        finally:
            self._planning.pop(message.sender, None)
        code = self._plans.add(plan)
        lines = [item.about for item in plan.items]
        lines.append(f"Nothing was touched yet. To do exactly this, once, within {self.config.minutes} min:")
        lines.append(f"  /{plan.word} {plan.target} confirm {code}")
        if plan.robots:
            lines.append(f"It stops {', '.join(plan.robots)} first, until `rearm`")
        self._answer(message, "\n".join(lines))

    async def _do(self, run: Run, message: Message) -> None:
        plan = run.plan
        try:
            await self._planner.check(plan)
            for item in plan.items:
                self._plans.void(item.robot)
            self.context.log.warning("begins", by=plan.user, what=plan.act, robots=list(run.lines))
            status = await run.go()
            self.context.log.warning("over", by=plan.user, what=plan.act, state=status.state)
        except Refused as refused:
            self._refuse(message, refused)
        finally:
            for robot in run.lines:
                self._runs.pop(robot, None)
            if run.begun:
                self._over.append(run)

    def _refuse(self, message: Message, refused: Refused) -> None:
        status = Status(code=refused.code, state=State.REJECTED, detail=refused.reason)
        self._answer(message, refused.reason, status)

    def _answer(self, message: Message, text: str, status: Status = DONE) -> None:
        self.reply(message, text, status, sender=self.config.address)
        self.context.report(message, status)
