"""A release for many robots: in stages, so many at once, and no further than the first unhealthy one.

::

    rollout = Rollout(state, robots, release, stages=(1, 10, ALL))
    async for event in rollout.run():
        …                       # `rollout.stop()` ends it, from anywhere
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge.errors import LinkError, UpdateRefused
from boardtalk.modules.iot_bridge.ota.events import AnyEvent, Ended, Outcome, Said, Sent, Stage, Total
from boardtalk.modules.iot_bridge.ota.push import FIRST_S, Push
from boardtalk.modules.iot_bridge.ota.robots import where
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import ask
from boardtalk.sdk import ServiceError
from boardtalk.sdk.audit import Attempt, audited
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

    from boardtalk.modules.iot_bridge.dictionary import Dictionary
    from boardtalk.modules.iot_bridge.ota.release import Release

ALL: Final = 0
"""A stage for all that are left."""
AT_ONCE: Final = 8
LOOK_S: Final = 0.2
ONLINE: Final = frozenset({api.BoardState.READY, api.BoardState.LATCHED})


class Rollout:
    """A release on its way to robots. Those that run it already are passed over, so it can be begun anew.

    Args:
        state: the gateway's state folder.
        robots: their addresses, in this order.
        release: what they get.
        stages: how many robots more each stage takes; `ALL`: the rest. A robot that is not there is
            not counted, and comes in a later stage.
        at_once: at most so many at a time.
        wait: until the release has proved itself on each; else until it runs on trial.
        dry_run: only look what each runs, and what would change.
        declares: what robots with it can do, as far as that is known before it runs.
        by: who wants it, for the audit.
    """

    def __init__(
        self,
        state: Path,
        robots: Sequence[str],
        release: Release,
        *,
        stages: Sequence[int] = (ALL,),
        at_once: int = AT_ONCE,
        wait: bool = True,
        dry_run: bool = False,
        declares: Dictionary | None = None,
        by: str = "",
    ) -> None:
        self._state = state
        self._by = by
        self._release = release
        self._stages = stages
        self._wait = wait
        self._dry_run = dry_run
        self._declares = declares
        self._left = list(dict.fromkeys(robots))
        self._gate = asyncio.Semaphore(at_once)
        self._events: asyncio.Queue[AnyEvent | None] = asyncio.Queue()
        self._under_way: dict[asyncio.Task[None], Push] = {}
        self._halted = False

    async def run(self) -> AsyncGenerator[AnyEvent, None]:
        """Do it; each robot ends with an `Ended` of its own.

        Raises:
            ServiceError: no gateway runs.
        """
        work = asyncio.create_task(self._run(), name="a release for robots")
        work.add_done_callback(lambda _: self._events.put_nowait(None))
        try:
            while (event := await self._events.get()) is not None:
                yield event
            await work
        finally:
            await cancel_and_wait(work)

    def stop(self) -> None:
        """Begin nothing more, and leave at once. What was sent is there; trials end by themselves."""
        self._halted = True
        for task in self._under_way:
            task.cancel()

    async def _run(self) -> None:
        for number, size in enumerate(self._stages, 1):
            if self._halted or not (robots := await self._next(size)):
                break
            self._left = [robot for robot in self._left if robot not in robots]
            self._events.put_nowait(Stage(number=number, robots=tuple(robots), left=len(self._left)))
            async with asyncio.TaskGroup() as tasks:
                for robot in robots:
                    push = Push(self._state, robot, self._release, _Told(self._events, robot), self._declares)
                    task = tasks.create_task(self._one(robot, push), name=f"update {robot}")
                    self._under_way[task] = push
        boards = await self._boards() if self._left else {}
        for robot in self._left:
            board = boards.get(robot)
            there = board is not None and board.state in ONLINE
            outcome = Outcome.NOT_BEGUN if there else Outcome.UNREACHABLE
            reason = "" if there else _absence(robot, board)
            self._events.put_nowait(Ended(robot=robot, outcome=outcome, reason=reason))

    async def _next(self, size: int) -> list[str]:
        """Whose turn it is: robots that are there. One that has just restarted gets a moment."""
        wanted = size or len(self._left)
        loop = asyncio.get_running_loop()
        patience = loop.time() + FIRST_S
        while True:
            boards = await self._boards()
            there = [each for each in self._left if each in boards and boards[each].state in ONLINE]
            if len(there) >= min(wanted, len(self._left)) or loop.time() > patience:
                return there[:wanted]
            await asyncio.sleep(LOOK_S)

    async def _boards(self) -> Mapping[str, api.BoardChanged]:
        answer = await ask(self._state, api.ListBoards(re=1))
        return {board.name: board for board in answer.boards} if isinstance(answer, api.Boards) else {}

    async def _one(self, robot: str, push: Push) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            outcome, reason = await self._outcome(robot, push), ""
        except asyncio.CancelledError:
            outcome, reason = _left_behind(push), ""
            if not self._halted:
                raise
        except UpdateRefused as error:
            outcome = Outcome.ROLLED_BACK if push.committed else Outcome.REFUSED
            reason = str(error)
        except (LinkError, ServiceError) as error:
            outcome = Outcome.LOST if push.met else Outcome.UNREACHABLE
            reason = str(error)
        told = push.watcher
        assert isinstance(told, _Told)  # noqa: S101 - `_run` has made it
        self._events.put_nowait(
            Ended(
                robot=robot,
                outcome=outcome,
                runs=push.runs,
                sent=told.size,
                seconds=round(loop.time() - began, 3),
                reason=reason,
            )
        )
        if outcome.unhealthy and not self._halted:
            self._halt()

    async def _outcome(self, robot: str, push: Push) -> Outcome:
        async with self._gate:
            if self._dry_run:
                await push.look()
                return Outcome.HAS if push.had_it else Outcome.PLANNED
            about = (
                f"{await where(self._state, robot)}, {self._release.version} sha256 {self._release.sha256}"
            )
            async with audited(self._state, Attempt(self._by, "ota push", robot, about)) as entry:
                await push.transfer()
                if self._wait:
                    await push.proof()
                outcome = self._good(push)
                entry.result = f"{about}: {outcome}; runs {push.runs}"
                return outcome

    def _good(self, push: Push) -> Outcome:
        if push.had_it:
            return Outcome.HAS
        return Outcome.UPDATED if self._wait else Outcome.ON_TRIAL

    def _halt(self) -> None:
        """Begin nothing more. Who has begun to try the release goes on to the end."""
        self._halted = True
        for task, push in self._under_way.items():
            if not push.committed:
                task.cancel()


class _Told:
    """What becomes of one robot, as events."""

    def __init__(self, events: asyncio.Queue[AnyEvent | None], robot: str) -> None:
        self.size = 0
        self._events = events
        self._robot = robot

    def total(self, size: int) -> None:
        """So many bytes are to be sent, from now on."""
        self._events.put_nowait(Total(robot=self._robot, size=size))

    def sent(self, size: int) -> None:
        """So many more have arrived."""
        self.size += size
        self._events.put_nowait(Sent(robot=self._robot, size=size))

    def say(self, text: str) -> None:
        """Something for people."""
        self._events.put_nowait(Said(robot=self._robot, text=text))


def _left_behind(push: Push) -> Outcome:
    if push.committed:
        return Outcome.HAS if push.had_it else Outcome.ON_TRIAL
    return Outcome.BROKEN_OFF if push.met else Outcome.NOT_BEGUN


def _absence(robot: str, board: api.BoardChanged | None) -> str:
    return f"{robot} is offline: {board.detail}" if board else f"{robot} is no board that is known here"
