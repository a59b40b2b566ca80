"""Starts the robot's program out of the slot whose turn it is. Not replaced over the air."""

import slots

slots.run(globals())
