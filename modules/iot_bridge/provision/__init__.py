"""Makes a board that runs MicroPython one of ours: client, robot's program, key, logins, name."""
