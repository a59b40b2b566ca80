"""`machine` of an emulated board: what its program does to pins and buses, the test sees, and vice versa."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from boardtalk.hil.board import BoardError
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.hil.micropython.bus import BusError
from boardtalk.hil.micropython.pins import PinError
from boardtalk.hil.micropython.registers import CHANGED_DUTY, CHANGED_FREQUENCY, VALUE
from boardtalk.hil.micropython.supervisor import HARD, SOFT, WATCHDOG

from .typist import PROMPT, Typist

CTRL_C, CTRL_D = b"\x03", b"\x04"


@pytest.fixture
async def board() -> AsyncIterator[MicroPythonBoard]:
    async with MicroPythonBoard(uid="c0ffee01") as board:
        yield board


@pytest.fixture
def typist(board: MicroPythonBoard) -> Iterator[Typist]:
    with Typist(board.port) as typist:
        typist.until(PROMPT)
        type_lines(
            typist,
            "from machine import ADC, I2C, PWM, Pin, Signal, Timer, UART, WDT, disable_irq, enable_irq\n"
            "import machine, time, asyncio, micropython",
        )
        yield typist


def type_lines(typist: Typist, text: str) -> None:
    """Each line at the prompt; a block ends with an empty one."""
    for line in text.strip().splitlines():
        assert typist.says(line) == ""


def test_an_output_is_seen_and_its_history_has_times(board: MicroPythonBoard, typist: Typist) -> None:
    before = time.monotonic()
    type_lines(typist, "led = Pin('LED', Pin.OUT)\nled.on()\nled.toggle()\nled.value(1)\nled(1)")
    assert (board.pins[25].mode, board.pins[25].value) == ("out", 1)
    changes = board.pins.history
    assert [(change.pin, change.kind, change.value) for change in changes] == [
        (25, VALUE, 1), (25, VALUE, 0), (25, VALUE, 1)
    ]  # fmt: skip
    times = [before, *(change.at for change in changes), time.monotonic()]
    assert times == sorted(times)


def test_an_input_reads_what_the_test_drives_else_its_pull(board: MicroPythonBoard, typist: Typist) -> None:
    type_lines(typist, "up = Pin(4, Pin.IN, Pin.PULL_UP)\ndown = Pin(5, Pin.IN, Pin.PULL_DOWN)")
    assert typist.says("up.value(), down.value()") == "(1, 0)"
    board.pins[4].value, board.pins[5].value = 0, 1
    assert typist.says("up.value(), down.value()") == "(0, 1)"
    board.pins[4].disconnect()
    assert typist.says("up.value()") == "1"


def test_an_open_drain_lets_others_pull_it_down(board: MicroPythonBoard, typist: Typist) -> None:
    type_lines(typist, "bus = Pin(3, Pin.OPEN_DRAIN, Pin.PULL_UP, value=1)")
    assert (typist.says("bus.value()"), board.pins[3].value) == ("1", 1)
    board.pins[3].value = 0
    assert typist.says("bus.value()") == "0"
    board.pins[3].disconnect()
    typist.says("bus.value(0)")
    assert board.pins[3].value == 0


def test_a_signal_may_be_inverted(board: MicroPythonBoard, typist: Typist) -> None:
    type_lines(typist, "led = Signal(Pin(2, Pin.OUT), invert=True)\nled.on()")
    assert board.pins[2].value == 0
    typist.says("led.off()")
    assert board.pins[2].value == 1


def test_a_board_has_so_many_pins(board: MicroPythonBoard, typist: Typist) -> None:
    assert "ValueError: invalid pin" in typist.says("Pin(64)")
    with pytest.raises(PinError, match="no pin 64"):
        board.pins[64]


@pytest.mark.parametrize(
    "waiting",
    [
        "while len(seen) < 20: pass\r",
        "while len(seen) < 20: time.sleep(60)\r",
        "async def wait():\r    while len(seen) < 20: await asyncio.sleep(0.01)\r\rasyncio.run(wait())",
        "",
    ],
    ids=["computing", "sleeping", "asyncio", "at the prompt"],
)
def test_an_edge_interrupts_whatever_the_program_does(
    waiting: str, board: MicroPythonBoard, typist: Typist
) -> None:
    type_lines(
        typist,
        "seen = []\nbutton = Pin(9, Pin.IN, Pin.PULL_DOWN)\n"
        "button.irq(lambda pin: seen.append(pin), Pin.IRQ_RISING)",
    )
    typist.type(waiting.encode() + b"\r")
    for _ in range(20):
        board.pins[9].value = 1
        board.pins[9].value = 0
    if "60" in waiting:
        time.sleep(0.2)  # the sleep goes on after an interrupt: end it
        typist.type(CTRL_C)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and typist.says("len(seen), seen[-1:] == [button]") != "(20, True)":
        pass
    assert typist.says("len(seen)") == "20"


def test_ctrl_c_is_for_the_program_and_its_timers_go_on(board: MicroPythonBoard, typist: Typist) -> None:
    type_lines(typist, "ticks = []\nt = Timer(-1)\nt.init(period=3, callback=lambda t: ticks.append(1))")
    for _ in range(10):
        typist.type(b"time.sleep(60)\r")
        time.sleep(0.08)  # two in quick succession are one
        typist.type(CTRL_C)
        assert b"thread" not in typist.until(b"KeyboardInterrupt") + typist.until(PROMPT)
    type_lines(typist, "count = len(ticks)\ntime.sleep(0.1)")
    assert int(typist.says("len(ticks) - count")) > 5


def test_only_the_wanted_edges_interrupt(board: MicroPythonBoard, typist: Typist) -> None:
    board.pins[9].value = 1
    type_lines(
        typist,
        "seen = []\nbutton = Pin(9, Pin.IN)\nbutton.irq(lambda pin: seen.append(pin()), Pin.IRQ_FALLING)",
    )
    for level in (1, 0, 0, 1, 0):
        board.pins[9].value = level
    time.sleep(0.05)
    assert typist.says("len(seen)") == "2"
    typist.says("button.irq(None)")
    board.pins[9].value = 1
    board.pins[9].value = 0
    time.sleep(0.05)
    assert typist.says("len(seen)") == "2"


def test_pulses_have_a_duty_and_a_frequency(board: MicroPythonBoard, typist: Typist) -> None:
    type_lines(typist, "motor = PWM(Pin(15), freq=1000, duty_u16=0)\nmotor.duty_u16(32768)\nmotor.freq(500)")
    pin = board.pins[15]
    assert (pin.mode, pin.duty, pin.frequency) == ("pwm", 32768, 500)
    assert [(change.kind, change.value) for change in board.pins.history] == [
        (CHANGED_FREQUENCY, 1000), (CHANGED_DUTY, 32768), (CHANGED_FREQUENCY, 500)
    ]  # fmt: skip
    assert typist.says("motor.duty_ns()") == "1000015"
    typist.says("motor.deinit()")
    assert pin.duty == 0


def test_an_analogue_input_reads_what_the_test_sets(board: MicroPythonBoard, typist: Typist) -> None:
    board.pins[26].reading = 32768
    assert typist.says("ADC(26).read_u16(), ADC(0).read_u16(), ADC(Pin(26)).read_uv()") == (
        "(32768, 32768, 1650025)"
    )


def test_devices_on_the_bus_are_registers(board: MicroPythonBoard, typist: Typist) -> None:
    typist.says("bus = I2C(0, scl=Pin(5), sda=Pin(4))")
    assert typist.says("bus.scan()") == "[]"
    sensor = board.i2c.attach(0x76)
    sensor[0xD0] = 0x60
    sensor[0xF7] = b"\x12\x34\x56"
    assert typist.says("bus.scan()") == "[118]"
    assert typist.says("bus.readfrom_mem(0x76, 0xD0, 1), bus.readfrom_mem(0x76, 0xF7, 3)") == (
        "(b'`', b'\\x124V')"
    )
    assert typist.says("bus.writeto_mem(0x76, 0xF4, b'\\x27')") == ""
    assert sensor[0xF4] == 0x27
    sensor.detach()
    assert "OSError: [Errno 5] EIO" in typist.says("bus.readfrom(0x76, 1)")


def test_a_device_on_the_spi_bus_hears_and_says_while_its_pin_selects_it(
    board: MicroPythonBoard, typist: Typist
) -> None:
    type_lines(
        typist, "from machine import SPI\ncs = Pin(17, Pin.OUT, value=1)\nspi = SPI(0, baudrate=1_000_000)"
    )
    flash = board.spi.attach(17)
    flash.says(b"\0\xef\x40\x18")
    assert typist.says("cs(0); spi.write(b'\\x9f'); spi.read(4)") == "b'\\xef@\\x18\\xff'"
    assert flash.heard == b"\x9f\0\0\0\0"
    assert typist.says(
        "both = bytearray(2); cs(1); cs(0); spi.write_readinto(b'\\x01\\x02', both); both"
    ) == ("bytearray(b'\\x00\\xef')")
    assert flash.heard == b"\x01\x02"
    assert typist.says("cs(1); spi.write(b'to nobody'); spi.read(1, 7)") == "b'\\xff'"
    assert flash.heard == b"\x01\x02"
    flash.detach()
    assert typist.says("cs(0); spi.read(1)") == "b'\\xff'"
    assert typist.says("spi.write(bytes(5000))") == ""
    with pytest.raises(BusError, match="no pin 64"):
        board.spi.attach(64)
    with pytest.raises(BusError, match="4000 bytes at most, not 4001"):
        flash.says(bytes(4001))


def test_the_clock_can_be_set_and_a_soft_reset_leaves_it(board: MicroPythonBoard, typist: Typist) -> None:
    type_lines(typist, "from machine import RTC\nrtc = RTC()")
    now = datetime.now(UTC)
    assert typist.says("rtc.datetime()[:3]") == f"({now.year}, {now.month}, {now.day})"
    typist.says("rtc.datetime((2031, 4, 5, 0, 6, 7, 8, 0))")
    assert typist.says("rtc.datetime()[:6]") == "(2031, 4, 5, 5, 6, 7)"
    typist.type(CTRL_D)
    typist.until(b"soft reboot")
    typist.until(PROMPT)
    typist.says("import machine")
    assert typist.says("machine.RTC().datetime()[0]") == "2031"
    typist.type(b"machine.reset()\r")
    typist.until(b"MicroPython")
    typist.until(PROMPT)
    typist.says("import machine")
    assert typist.says("machine.RTC().datetime()[0]") == f"{now.year}"


def test_a_uart_is_a_port_of_its_own(board: MicroPythonBoard, typist: Typist) -> None:
    typist.says("uart = UART(1, 9600, tx=Pin(4), rx=Pin(5), timeout=1000)")
    with Typist(board.uarts[1]) as other:
        typist.says("uart.write(b'to the test\\n')")
        other.until(b"to the test\n")
        assert typist.says("uart.any()") == "0"
        other.type(b"to the board\nand more")
        assert typist.says("uart.readline(), uart.read(3)") == "(b'to the board\\n', b'and')"
        assert typist.says("uart.any(), uart.read(100)") == "(1, b' more')"
    assert "ValueError" in typist.says("UART(2)")


def test_asyncio_waits_for_a_uart(board: MicroPythonBoard, typist: Typist) -> None:
    typist.says("line = asyncio.StreamReader(UART(0))")
    typist.type(b"asyncio.run(line.readline())\r")
    with Typist(board.uarts[0]) as other:
        other.type(b"a line\n")
        typist.until(b"b'a line\\n'")


def test_timers_call_once_or_again_and_again(board: MicroPythonBoard, typist: Typist) -> None:
    type_lines(
        typist,
        "ticks = []\nt = Timer(-1)\n"
        "t.init(period=10, mode=Timer.PERIODIC, callback=lambda t: ticks.append(1))\n"
        "time.sleep(0.3)",
    )
    assert 15 <= int(typist.says("len(ticks)")) <= 60
    type_lines(typist, "t.deinit()\ncount = len(ticks)\ntime.sleep(0.1)")
    assert typist.says("len(ticks) - count") == "0"
    typist.says("t.init(period=20, mode=Timer.ONE_SHOT, callback=lambda t: ticks.append(2))")
    typist.says("time.sleep(0.2)")
    assert typist.says("ticks[count:]") == "[2]"


@pytest.mark.parametrize(
    ("command", "cause"), [("reset()", HARD), ("deepsleep(50)", 4), ("soft_reset()", SOFT)]
)
def test_a_reset_starts_anew_and_tells_why(
    command: str, cause: int, board: MicroPythonBoard, typist: Typist
) -> None:
    typist.says("kept = 1")
    typist.type(f"machine.{command}\r".encode())
    typist.until(b"MicroPython")
    typist.until(PROMPT)
    typist.says("import machine")
    assert typist.says("machine.reset_cause()") == str(cause)
    assert typist.says("machine.unique_id()") == "b'\\xc0\\xff\\xee\\x01'"
    assert "NameError" in typist.says("kept")


def test_outputs_go_off_at_a_reset_and_stay_at_a_soft_one(board: MicroPythonBoard, typist: Typist) -> None:
    type_lines(typist, "led = Pin(2, Pin.OUT, value=1)\nmotor = PWM(Pin(3), freq=50, duty_u16=1000)")
    typist.type(CTRL_D)
    typist.until(b"soft reboot")
    typist.until(PROMPT)
    assert (board.pins[2].value, board.pins[3].duty) == (1, 1000)
    typist.type(b"import machine; machine.reset()\r")
    typist.until(b"MicroPython")
    assert (board.pins[2].value, board.pins[3].duty, board.pins[2].mode) == (0, 0, "unused")
    assert [(change.pin, change.value) for change in board.pins.history[-2:]] == [(2, 0), (3, 0)]


def test_the_watchdog_resets_a_board_that_does_not_feed_it(board: MicroPythonBoard, typist: Typist) -> None:
    typist.says("dog = WDT(timeout=300)")
    for _ in range(5):
        typist.says("dog.feed(); time.sleep_ms(100)")
    typist.type(b"while True: pass\r\r")
    typist.until(b"MicroPython")
    typist.until(PROMPT)
    typist.says("import machine")
    assert typist.says("machine.reset_cause()") == str(WATCHDOG)
    time.sleep(0.5)
    assert typist.says("1 + 1") == "2", "a reset ends the watchdog too"


def test_the_watchdog_resets_a_board_that_hangs(board: MicroPythonBoard, typist: Typist) -> None:
    typist.says("dog = WDT(timeout=200)")
    board.freeze()
    typist.until(b"MicroPython")
    typist.until(PROMPT)
    typist.says("import machine")
    assert typist.says("machine.reset_cause()") == str(WATCHDOG)


def test_interrupts_can_be_held_up(board: MicroPythonBoard, typist: Typist) -> None:
    type_lines(
        typist,
        "seen = []\nbutton = Pin(9, Pin.IN)\nbutton.irq(lambda pin: seen.append(1))\nstate = disable_irq()",
    )
    board.pins[9].value = 1
    time.sleep(0.05)
    assert typist.says("seen") == "[]"
    typist.says("enable_irq(state); time.sleep(0.05)")
    assert typist.says("seen") == "[1]"


async def test_a_test_waits_for_a_level(board: MicroPythonBoard, typist: Typist) -> None:
    typist.type(b"time.sleep_ms(50); led = Pin(2, Pin.OUT, value=1)\r")
    await board.pins[2].until(1)


async def test_a_module_of_the_flash_goes_before_the_built_in_one(tmp_path: Path) -> None:
    (tmp_path / "machine.py").write_text("mine = 42\n")
    async with MicroPythonBoard(tmp_path) as board:
        with Typist(board.port) as typist:
            typist.until(PROMPT)
            typist.says("import machine")
            assert typist.says("machine.mine") == "42"


async def test_without_power_nothing_is_on(board: MicroPythonBoard, typist: Typist) -> None:
    typist.says("led = Pin(2, Pin.OUT, value=1)")
    with pytest.raises(BoardError, match="has power"):
        await board.power_on()
    await board.power_cut()
    assert not board.running
    assert board.pins[2].value == 0
    await board.power_on()
    typist.until(b"MicroPython")


async def test_the_chassis_for_real_hardware_runs_on_it(tmp_path: Path) -> None:
    rover = Path(__file__).parents[2] / "firmware" / "examples" / "rover"
    for name in ("main.py", "chassis.py"):
        (tmp_path / name).write_bytes((rover / name).read_bytes())
    async with MicroPythonBoard(tmp_path) as board:
        with Typist(board.port) as typist:
            time.sleep(0.3)
            typist.type(CTRL_C)
            typist.until(PROMPT)
            typist.says("chassis.drive(100, 50)")
            assert (board.pins[2].duty, board.pins[4].duty) == (65535, 32767)
            for _ in range(20):
                for encoder in (6, 7):
                    board.pins[encoder].value = 1
                    board.pins[encoder].value = 0
            time.sleep(0.05)
            assert typist.says("chassis.position()") == "(1.0, 0.0, 0.0)"
            board.pins[9].value = 0
            assert typist.says("chassis.bumper()") == "True"
            board.pins[26].reading = 52000
            assert typist.says("chassis.battery()") == "7.86"
