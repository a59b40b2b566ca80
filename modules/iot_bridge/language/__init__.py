"""What people type to a robot, and what it answers, in words. Pure: nothing here waits or sends."""
