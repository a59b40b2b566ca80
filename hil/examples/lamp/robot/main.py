"""A lamp: what people can tell it, and what it tells them."""

import asyncio

from machine import PWM, Pin

from boardtalk import Arg, Board

lamp = Board("lamp", version="1.0", about="a lamp that blinks")
led = PWM(Pin(25), freq=1000, duty_u16=0)
level = 0


@lamp.command(
    "action", help="light up", brightness=Arg(int, "%", 0, 100), returns={"brightness": Arg(int, "%")}
)
def shine(brightness):
    global level
    level = brightness
    led.duty_u16(level * 65535 // 100)
    return level


@lamp.command("action", help="blink", times=Arg(int, "times", 1, 20, default=3), limit=10)
async def blink(times):
    try:
        for _ in range(times):
            shine(100)
            await asyncio.sleep_ms(200)
            shine(0)
            await asyncio.sleep_ms(200)
    finally:
        shine(0)


@lamp.telemetry("%", rate=1, type=int, help="how bright it is")
def brightness():
    return level


@lamp.on_stop
def stop():
    shine(0)


lamp.run()
