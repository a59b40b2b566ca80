"""What the lamp promises: `pytest` tries it without hardware, `pytest --board=/dev/ttyACM0` on a board."""

import pytest


def test_it_shines(chat):
    assert chat.send("lamp", "shine 30").state == "done"
    assert chat.send("lamp", "brightness").text == "30 %"


@pytest.mark.board_needs("pins")
def test_its_led_gets_its_share_of_power(chat, board):
    chat.send("lamp", "shine 50")
    assert board.pins[25].duty == 65535 // 2


def test_it_can_only_be_so_bright(chat):
    answer = chat.send("lamp", "shine 300")
    assert answer.state == "rejected"
    assert "100" in answer.reason


def test_stop_ends_blinking(chat):
    blinking = chat.begin("lamp", "blink 20")
    chat.stop("lamp")
    assert blinking.end().state == "cancelled"
    assert chat.send("lamp", "brightness").text == "0 %"


def test_it_works_over_a_bad_line(chat, line):
    line.lose(0.05)
    line.flip(0.001)
    line.baud(115_200)
    for percent in range(0, 100, 10):
        assert chat.send("lamp", f"shine {percent}").state == "done"


@pytest.mark.board_needs("power")
def test_it_is_dark_after_a_power_cut(chat, board):
    chat.send("lamp", "shine 100")
    board.power_off()
    board.power_on()
    assert chat.insist("lamp", "brightness").text == "0 %"
