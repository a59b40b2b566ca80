"""The configuration that is used when there is none, and what a system needs around the gateway."""
