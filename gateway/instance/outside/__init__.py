"""The gateway's ways out, for modules: `http` requests and `sockets`."""
