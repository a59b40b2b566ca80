"""Runs commands: each id at most once, in time, motion under a lease, and nothing while stopped."""

import asyncio
from struct import pack, unpack_from

from micropython import const

from boardtalk import frames
from boardtalk.hal import ticks_add, ticks_diff, ticks_ms
from boardtalk.link import ERROR
from boardtalk.values import Rejected, clip, packed, unpack

RESULTS = const(8)
"""How many results are kept, in case their commands come again."""

_MAX_JOBS = const(4)
_MAX_LEASE_MS = const(2000)
_GRACE_MS = const(1000)  # for a cancelled job to clean up
_MAX_REASON_BYTES = const(238)  # what RESULT leaves of a payload

_HALTING = ("motion", "action")  # classes that a stop ends and keeps out


class _Job:
    """A command that takes time."""

    def __init__(self, id_, command, lease_ms, now):
        self.id = id_
        self.command = command
        self.lease_ends = ticks_add(now, lease_ms) if command.cls == "motion" else None
        self.ends = ticks_add(now, int(command.limit * 1000))
        self.outcome = None
        """How it is to end, once it is being cancelled."""
        self.reason = ""
        self.begun = False
        self.task = None


class Dispatcher:
    """Everything that may move the robot passes here."""

    def __init__(self, dictionary, link):
        self.epoch = 0
        self.latched = False
        self.last = 0
        """Id of the last command executed."""
        self.on_stop = None
        """The robot's code that takes its outputs into a safe state."""
        self._dictionary = dictionary
        self._link = link
        self._jobs = []
        self._results = []  # (id, payload of RESULT)

    def command(self, number, buffer, at, end, arrived):
        """Execute a command, or say why not."""
        if end - at < frames.COMMAND_HEAD_BYTES:
            return
        ttl_ms, id_, epoch, lease_ms = unpack_from(frames.COMMAND_HEAD, buffer, at)
        if self._answered(id_):
            return
        now = ticks_ms()
        if ticks_diff(now, arrived) >= ttl_ms:
            self._finish(id_, frames.OUTCOME_EXPIRED, b"it came too late")
            return
        try:
            command = self._admitted(number, epoch, lease_ms)
            row = unpack(command.values, buffer, at + frames.COMMAND_HEAD_BYTES, end)
        except Rejected as error:
            self._finish(id_, frames.OUTCOME_REJECTED, clip(str(error), _MAX_REASON_BYTES))
            return
        self.last = id_
        self._execute(_Job(id_, command, min(lease_ms, _MAX_LEASE_MS), now), row)

    def renew(self, id_, lease_ms):
        """Let a motion go on for `lease_ms` from now."""
        job = self._job(id_)
        if job and job.lease_ends is not None:
            job.lease_ends = ticks_add(ticks_ms(), min(lease_ms, _MAX_LEASE_MS))

    def cancel(self, id_):
        """End a command that is running."""
        job = self._job(id_)
        if job:
            self._end(job, frames.OUTCOME_CANCELLED, "cancelled")
        else:
            self._answered(id_)

    def setpoint(self, number, buffer, at, end):
        """Live values for a control."""
        controls = self._dictionary.controls
        if number >= len(controls) or end - at < frames.SETPOINT_HEAD_BYTES:
            return
        epoch, lease_ms = unpack_from(frames.SETPOINT_HEAD, buffer, at)
        if self.latched or epoch < self.epoch or self._moving():
            return
        control = controls[number]
        if lease_ms == 0:
            self.halt()
            return
        control.ends = ticks_add(ticks_ms(), min(lease_ms, _MAX_LEASE_MS))
        try:
            control.code(**unpack(control.values, buffer, at + frames.SETPOINT_HEAD_BYTES, end))
        except Exception as error:
            self.halt()
            self._link.log(ERROR, "%s: %s" % (control.name, _words(error)))

    def stop(self, epoch):
        """Outputs off, and nothing moves before `rearm`."""
        self.epoch = max(self.epoch, epoch)
        self.latched = True
        self.halt()
        for job in self._jobs:
            if job.command.cls in _HALTING:
                self._end(job, frames.OUTCOME_CANCELLED, "stopped")

    def rearm(self, epoch):
        """Let the robot move again, if `epoch` is the one of the last stop."""
        if epoch == self.epoch:
            self.latched = False

    def halt(self):
        """Take the outputs into the robot's safe state."""
        for control in self._dictionary.controls:
            control.ends = None
        if not self.on_stop:
            return
        try:
            self.on_stop()
        except Exception as error:
            self._link.log(ERROR, "on_stop: %s" % _words(error))

    def tick(self):
        """End what has run out of its lease or time."""
        now = ticks_ms()
        for job in self._jobs:
            if job.lease_ends is not None and ticks_diff(job.lease_ends, now) <= 0:
                self._end(job, frames.OUTCOME_FAILED, "the lease ran out")
            elif ticks_diff(job.ends, now) <= 0:
                self._end(job, frames.OUTCOME_FAILED, "it took longer than %s s" % job.command.limit)
        for control in self._dictionary.controls:
            if control.ends is not None and ticks_diff(control.ends, now) <= 0:
                self.halt()

    def _answered(self, id_):
        """Answer a command that was seen before, as before."""
        job = self._job(id_)
        if job:
            self._link.send(frames.TYPE_STARTED, pack(frames.STARTED, id_))
            return True
        for known, payload in self._results:
            if known == id_:
                self._link.send(frames.TYPE_RESULT, payload)
                return True
        return False

    def _admitted(self, number, epoch, lease_ms):
        commands = self._dictionary.commands
        if number >= len(commands):
            raise Rejected("no such command")
        command = commands[number]
        if epoch < self.epoch:
            raise Rejected("a stop came after it")
        if self.latched and command.cls in _HALTING:
            raise Rejected("stopped: rearm first")
        if len(self._jobs) >= _MAX_JOBS:
            raise Rejected("busy: %d commands are running" % _MAX_JOBS)
        if command.cls == "motion":
            if not lease_ms:
                raise Rejected("motion needs a lease")
            busy = self._moving() or self._held()
            if busy:
                raise Rejected("busy: %s is running" % busy)
        self.epoch = epoch
        return command

    def _execute(self, job, row):
        try:
            value = job.command.code(**row)
            if not hasattr(value, "send"):  # a plain function has done its work
                self._done(job, value)
                return
        except Exception as error:
            self._failed(job, frames.OUTCOME_FAILED, _words(error))
            return
        self._jobs.append(job)
        self._link.send(frames.TYPE_STARTED, pack(frames.STARTED, job.id))
        job.task = asyncio.create_task(self._run(job, value))

    async def _run(self, job, work):
        job.begun = True
        value = failure = None
        try:
            if job.outcome is None:
                value = await work
            else:  # ended before it began
                work.close()
        except asyncio.CancelledError:
            failure = "cancelled"
        except Exception as error:
            failure = _words(error)
        self._jobs.remove(job)
        if job.outcome is not None:
            self._failed(job, job.outcome, job.reason)
        elif failure:
            self._failed(job, frames.OUTCOME_FAILED, failure)
        else:
            self._done(job, value)

    def _end(self, job, outcome, reason):
        """Cancel a job; again if it is still there after a while."""
        if job.outcome is None:
            job.outcome = outcome
            job.reason = reason
            if job.command.cls == "motion":
                self.halt()
        job.lease_ends = None
        job.ends = ticks_add(ticks_ms(), _GRACE_MS)
        if job.begun:
            job.task.cancel()

    def _done(self, job, value):
        try:
            data = packed(job.command.returns, value)
        except Rejected as error:
            self._failed(job, frames.OUTCOME_FAILED, "it returned something else: %s" % error)
            return
        self._finish(job.id, frames.OUTCOME_DONE, data)

    def _failed(self, job, outcome, reason):
        if job.command.cls == "motion":
            self.halt()
        self._finish(job.id, outcome, clip(reason, _MAX_REASON_BYTES))

    def _finish(self, id_, outcome, data):
        payload = pack(frames.RESULT_HEAD, id_, outcome) + data
        self._results.append((id_, payload))
        if len(self._results) > RESULTS:
            self._results.pop(0)
        self._link.send(frames.TYPE_RESULT, payload)

    def _job(self, id_):
        for job in self._jobs:
            if job.id == id_:
                return job
        return None

    def _moving(self):
        """Name of the motion command that is running."""
        for job in self._jobs:
            if job.command.cls == "motion":
                return job.command.name
        return None

    def _held(self):
        """Name of the control that is live."""
        for control in self._dictionary.controls:
            if control.ends is not None:
                return control.name
        return None


def _words(error):
    return "%s: %s" % (type(error).__name__, error)
