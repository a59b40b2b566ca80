"""What a board with the tiny client runs when it starts: in this order, because of the memory."""

while True:
    try:
        import gc

        from micropython import kbd_intr, opt_level

        kbd_intr(-1)  # a byte 0x03 is data from now on
        break
    except KeyboardInterrupt:  # it was in a frame that came before
        pass

opt_level(3)
import client

gc.collect()
import commands

gc.collect()
import line

gc.collect()
import robot

gc.collect()
from random import getrandbits

from dictionary import DIGEST, SIZE
from machine import unique_id
from microbit import uart

uart.init(115200)
commands.robot = robot
robot.stop()
names = b""
for text in ("".join(["%02x" % byte for byte in unique_id()]), robot.NAME, "tiny"):
    names += bytes([len(text)]) + bytes(text, "utf-8")
client.run((bytes([getrandbits(8) for _ in range(4)]), DIGEST, SIZE, names), line, commands)
