"""The web page: processes of their own beside the gateway, which they know by its sockets only."""
