"""At the bench: a board's console, and new files for it, while the gateway runs on."""
