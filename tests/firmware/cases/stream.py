"""A line in memory."""


class Stream:
    """What is put into `coming` is read, what is written is found in `gone`."""

    def __init__(self, room=100_000):
        self.coming = b""
        self.gone = bytearray()
        self.room = room

    def readinto(self, view):
        count = min(len(view), len(self.coming))
        view[:count] = self.coming[:count]
        self.coming = self.coming[count:]
        return count or None

    def write(self, data, size):
        count = min(size, self.room)
        self.gone.extend(bytes(data[:count]))
        self.room -= count
        return count or None
