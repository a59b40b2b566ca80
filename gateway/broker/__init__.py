"""Message brokers behind one small interface."""
