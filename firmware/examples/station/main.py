"""A weather station: what people can ask it, and what it tells them."""

import asyncio

from sensor import Sensor

from boardtalk import Arg, Board

station = Board("station", version="1.0", about="measures temperature and humidity")
sensor = Sensor()
limit = 35.0


@station.telemetry(
    rate=1,
    help="temperature and humidity",
    temperature=Arg(float, "°C"),
    humidity=Arg(float, "%"),
)
def climate():
    return sensor.read()


@station.command("config", help="when it gives an alarm", above=Arg(float, "°C", -40, 125))
def alarm(above):
    global limit
    limit = above


station.event("hot", help="it is hotter than it should be", temperature=Arg(float, "°C"))


@station.task
async def watch():
    """Tell once when it gets too hot, and again after it has cooled down."""
    hot = False
    while True:
        try:
            temperature, _ = sensor.read()
        except OSError as error:
            station.log("the sensor does not answer: %s" % error, 40)
        else:
            if temperature > limit and not hot:
                station.emit("hot", temperature=temperature)
            hot = temperature > limit - hot  # a degree of hysteresis
        await asyncio.sleep(1)


@station.on_stop
def stop():
    """Nothing moves."""


station.run()
