"""How much of a line the link makes use of, between the real gateway's end and the real board's.

On a virtual clock: the same figures on each machine, each time.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from boardtalk.hil.virtual.bulk import Bulk, stops, to_board, to_gateway
from boardtalk.hil.virtual.wire import UART_BYTES, Line
from boardtalk.modules.iot_bridge.frames import MAX_PAYLOAD, OVERHEAD_BYTES, CommandHead
from boardtalk.modules.iot_bridge.link.arq import BATCH_SHARE
from boardtalk.modules.iot_bridge.transports.pace import FRAME_S, LEAD_S

COUNT = 1500
FRAME_COST = 1.05
STOP_BYTES = 2

both_ways = pytest.mark.parametrize("transfer", [to_board, to_gateway])
bauds = pytest.mark.parametrize("baud", [115_200, 1_000_000])
seeds = pytest.mark.parametrize("seed", [1, 2, 3])

Transfer = Callable[[Line, int], Bulk]


@both_ways
@bauds
def test_a_good_line_is_used_to_99_percent(transfer: Transfer, baud: int) -> None:
    done = transfer(Line(baud=baud), COUNT)
    assert done.efficiency >= 0.99
    assert done.repeated == 0


@both_ways
@bauds
@seeds
@pytest.mark.parametrize(("loss", "least"), [(0.01, 0.95), (0.05, 0.85)])
def test_a_lossy_line_is_still_well_used(
    transfer: Transfer, baud: int, seed: int, loss: float, least: float
) -> None:
    assert transfer(Line(baud=baud, loss=loss, seed=seed), COUNT).efficiency >= least


@pytest.mark.parametrize(("baud", "more"), [(115_200, 1.2), (1_000_000, 1.3)])
def test_small_commands_that_wait_share_frames_and_more_of_them_fit_on_the_line(
    baud: int, more: float
) -> None:
    done = to_board(Line(baud=baud), COUNT, payload_bytes=CommandHead.sizeof() + 8, together=True)
    assert done.efficiency >= more


@both_ways
@bauds
def test_a_wrong_byte_costs_one_repetition(transfer: Transfer, baud: int) -> None:
    """But for the rare case that two acknowledgements in a row are wrong."""
    done = [transfer(Line(baud=baud, flip=0.01, seed=seed), COUNT) for seed in range(1, 7)]
    spoilt = sum(each.spoilt for each in done)
    assert spoilt > 50
    assert sum(each.repeated for each in done) <= FRAME_COST * spoilt


@pytest.mark.parametrize("baud", [9600, 115_200, 1_000_000])
@pytest.mark.parametrize("payload_bytes", [8, 32, 243])
def test_c07_ahead_of_stop_is_one_frame_of_20_ms_at_most_and_the_rest_of_the_one_under_way(
    baud: int, payload_bytes: int
) -> None:
    line = Line(baud=baud)
    frame_s, stop_s = ((size + OVERHEAD_BYTES) * line.byte_s for size in (payload_bytes, STOP_BYTES))
    batch_s = min(FRAME_S / BATCH_SHARE, (MAX_PAYLOAD + OVERHEAD_BYTES) * line.byte_s)
    took = max(stops(line, 50, payload_bytes))
    assert took <= LEAD_S + max(min(frame_s, FRAME_S), batch_s) + stop_s + line.turnaround_s / 2
    assert took > min(frame_s, FRAME_S), "else nothing was ahead of it"


def test_a_message_that_was_cut_is_whole_again_in_spite_of_losses() -> None:
    assert to_board(Line(baud=9600, loss=0.05), 200).repeated > 0


def test_c07_a_board_that_has_much_to_tell_still_confirms_a_stop() -> None:
    line = Line(baud=115_200)
    took = stops(line, 50, up=True)
    assert max(took) <= 3 * UART_BYTES * line.byte_s
