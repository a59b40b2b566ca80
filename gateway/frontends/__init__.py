"""Ways for people to reach the hub: each authenticates a user and carries his messages."""
