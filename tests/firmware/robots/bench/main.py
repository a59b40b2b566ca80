"""A robot whose commands do what tests need."""

import asyncio
import gc

from world import World

from boardtalk import Arg, Board

world = World()
robot = Board("bench", version="2.5", about="for tests")
counted = 0
level = 0


@robot.command(
    "query",
    help="numbers and words back",
    returns={
        "number": Arg(int),
        "ratio": Arg(float),
        "yes": Arg(bool),
        "word": Arg(str),
        "pick": Arg(choices=("red", "blue")),
    },
    number=Arg(int, "mm", -5, 5),
    ratio=Arg(float, "%", 0, 1),
    yes=Arg(bool),
    word=Arg(str),
    pick=Arg(choices=("red", "blue")),
)
def echo(number, ratio, yes, word, pick):
    return {"number": number, "ratio": ratio, "yes": yes, "word": word, "pick": pick}


@robot.command("action", returns={"count": Arg(int)})
def count():
    """Executed how often?"""
    global counted
    counted += 1
    world.tell(counted=counted)
    return counted


@robot.command("action", returns={"count": Arg(int)}, seconds=Arg(float, "s", 0, 10))
async def work(seconds):
    global counted
    counted += 1
    world.tell(counted=counted)
    await asyncio.sleep(seconds)
    return counted


@robot.command("action")
async def plod():
    """Tells how far it is."""
    for percent in (-10, 0, 50.5, 100, 1000):
        robot.progress(percent)
        await asyncio.sleep_ms(5)


@robot.command("query")
def aimless():
    robot.progress(50)


@robot.command("motion", seconds=Arg(float, "s", 0, 60))
async def move(seconds):
    world.tell(power=100)
    await asyncio.sleep(seconds)
    world.tell(power=0)


@robot.command("motion", limit=1)
async def creep():
    world.tell(power=1)
    await asyncio.sleep(60)


@robot.command("motion")
async def jam():
    world.tell(power=100)
    await asyncio.sleep(0.05)
    raise OSError("the wheel is jammed")


@robot.command("motion")
def kick():
    """Nothing would ever turn it off."""
    world.tell(power=100)


@robot.command("action", limit=60)
async def heat():
    world.tell(heater=1)
    try:
        await asyncio.sleep(60)
    finally:
        world.tell(heater=0)


@robot.command("motion")
async def stubborn():
    """Does not want to be ended."""
    world.tell(power=100)
    while True:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            if world.hear().get("yield"):
                raise


@robot.command("query")
def broken():
    raise KeyError("no such thing")


@robot.command("query", returns={"number": Arg(int)})
def nonsense():
    return "not a number"


@robot.command("query", returns={"one": Arg(str), "other": Arg(str)})
def essay():
    """More than fits into a frame."""
    return 120 * "x", 120 * "y"


@robot.command("query")
def chatter():
    for line in range(50):
        print("line %d: \xe4\xf6\xfc" % line)


@robot.command("query")
def block():
    """Holds up everything, as bad robot code does."""
    import time

    world.tell(blocking=True)
    time.sleep_ms(300)


@robot.command("config", value=Arg(int, "", 0, 9))
def tune(value):
    robot.log("tuned to %d" % value, 30)


@robot.command("stop")
def park():
    """Allowed while stopped."""


@robot.command("query", returns={"free": Arg(int, "B"), "used": Arg(int, "B")})
def memory():
    gc.collect()
    return gc.mem_free(), gc.mem_alloc()


@robot.command("action", times=Arg(int, "", 1, 100))
def shout(times):
    for number in range(times):
        robot.emit("heard", number=number)


@robot.telemetry("V", rate=20)
def voltage():
    return 3.3


@robot.telemetry(type=int)
def steps():
    return level // 10


@robot.telemetry(rate=5, unit="C")
def fault():
    raise OSError("sensor gone")


@robot.control(x=Arg(float, "%", -100, 100), y=Arg(float, "%", -100, 100), lease=500)
def drive(x, y):
    world.tell(x=x, y=y)


robot.event("heard", number=Arg(int))


@robot.on_stop
def stop():
    world.tell(power=0, stopped=True)


robot.run()
