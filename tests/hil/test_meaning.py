"""What counts as the same when a robot does again what it did: measured numbers may differ, words may not."""

from __future__ import annotations

import msgspec
import pytest

from boardtalk.events import Delivery, Update
from boardtalk.hil.record.compare import Divergence
from boardtalk.hil.record.entries import AnyEntry, Dictionary, Gateway, Link
from boardtalk.hil.record.meaning import Meaning
from boardtalk.hil.record.outcomes import Outcomes
from boardtalk.hil.record.steps import script
from boardtalk.modules.iot_bridge.dictionary import parse
from boardtalk.modules.iot_bridge.frames import Outcome
from boardtalk.modules.iot_bridge.service import api
from boardtalk.sdk import Code, Message, State, Status
from boardtalk.witness import Passage, Passed, Said, Told

VOLTS = {"type": "float", "unit": "V"}
TEXT = msgspec.json.encode(
    {
        "name": "meter",
        "commands": [
            {"name": "measure", "returns": [{"name": "level", **VOLTS}, {"name": "count", "type": "int"}]}
        ],
        "telemetry": [{"name": "supply", "rate": 1.0, "values": [{"name": "value", **VOLTS}]}],
    }
).decode()
METER = parse(TEXT.encode())
ROW = 7


def board() -> list[AnyEntry]:
    there = api.BoardChanged(
        name="meter", uid="", port="", firmware="", state=api.BoardState.READY, epoch=1, dictionary="ab"
    )
    return [Dictionary("ab", TEXT), Link(api.Heard(at=0.0, event=there))]


def measured(level: float, count: int = 3) -> list[AnyEntry]:
    """`measure`, and what it returned."""
    data = METER.commands[0].returns_format.pack({"level": level, "count": count})
    command = api.Command(board="meter", id=ROW, index=0, ttl_ms=1000)
    result = api.Result(board="meter", id=ROW, outcome=Outcome.DONE, data=data)
    return [
        *said("measure", Status(code=Code.DONE, state=State.DONE), f"level {level} V, count {count}"),
        Link(api.Asked(at=1.1, request=command)),
        Link(api.Heard(at=1.2, event=result)),
    ]


def said(text: str, status: Status, answer: str) -> list[AnyEntry]:
    message = Message(sender="ann", to="meter", body=text, id="m1", accepted=1.0)
    back = Message(sender="meter", to="ann", body=answer, refid="m1")
    return [
        *board(),
        Gateway(Said(1.0, message)),
        Gateway(Passed(1.1, "ann", "meter", ROW, (Passage("iot_bridge", "consumed", 0.1),), "m1")),
        Gateway(Told(1.3, Update("ann", "m1", "meter", status, 0.0))),
        Gateway(Told(1.3, Delivery("ann", back, 0.0, status))),
    ]


def refused(reason: str) -> list[AnyEntry]:
    return said("measure", Status(code=Code.FAILED, state=State.REJECTED, detail=reason), reason)


def supplied(*volts: float) -> list[AnyEntry]:
    """Telemetry."""
    return [
        *board(),
        *(
            Link(
                api.Heard(
                    at=float(at),
                    event=api.Report(
                        board="meter",
                        kind=api.ReportKind.TELEMETRY,
                        index=0,
                        data=METER.telemetry[0].format.pack({"value": value}),
                    ),
                )
            )
            for at, value in enumerate(volts)
        ),
    ]


def compared(then: list[AnyEntry], now: list[AnyEntry], elapsed: float = 60.0) -> Divergence | None:
    recorded = Outcomes("meter", then)
    meaning = Meaning(recorded, Outcomes("meter", now), 0.0, 0.1)
    play = script(then, recorded)
    found = [meaning.of(say, "m1") for say in play.said]
    return next(filter(None, found), None) or meaning.rest(play, {}, elapsed)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (measured(8.2), measured(7.6)),
        (measured(0.02), measured(-0.05)),
        (supplied(8.2, 8.1), supplied(7.9)),
        (supplied(), supplied(5.0)),
        (refused("no"), refused("no")),
    ],
)
def test_measured_numbers_may_differ_a_little(then: list[AnyEntry], now: list[AnyEntry]) -> None:
    assert compared(then, now) is None


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        (measured(8.2), measured(6.2), "measure; done: level 8.2 V"),
        (measured(8.2, 3), measured(8.2, 4), "count 4"),
        (measured(8.2), refused("no"), "now:      rejected: no"),
        (refused("9 is more than 8"), refused("9 is more than 8.1"), "9 is more than 8.1"),
        (measured(8.2), board(), "now:      it has not ended"),
        (supplied(8.2, 8.0), supplied(12.0, 12.1), "recorded: 8 V to 8.2 V\n  now:      12 V to 12.1 V"),
        (supplied(8.2, 8.0), supplied(), "recorded: 2 times, first 8.2 V\n  now:      nothing"),
    ],
)
def test_all_else_may_not(then: list[AnyEntry], now: list[AnyEntry], told: str) -> None:
    assert told in str(compared(then, now))


def test_a_channel_that_was_not_due_yet_is_not_missed() -> None:
    assert compared(supplied(8.2), supplied(), elapsed=1.0) is None
