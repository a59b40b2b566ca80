"""What the gateway does for the web page: its processes, and what they are told."""
