"""What a module instance does without the hub: in its own time, and with the world outside."""
