"""The link: frames to one board and back, reliable and in order. It knows nothing of chat."""
