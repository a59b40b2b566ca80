"""Which frames are repeated, and when."""

from boardtalk import outbox

RETRY = 0x40


class Line:
    """Notes what is sent, as far as there is room."""

    def __init__(self):
        self.sent = []
        self.room = 100

    def send(self, control, number, type_, payload):
        if not self.room:
            return False
        self.room -= 1
        self.sent.append((control, number))
        return True


class Clock:
    now = 0


def made(count, room=100):
    """An outbox with so many frames, the line they went to, and its clock."""
    Clock.now = 1000
    outbox.ticks_ms = lambda: Clock.now
    line = Line()
    line.room = room
    made = outbox.Outbox(line)
    for number in range(count):
        made.add(0x300, bytes([number]))
    line.sent, sent = [], line.sent
    return made, line, sent


def test_what_finds_no_room_is_sent_as_soon_as_there_is_some():
    box, line, sent = made(4, room=2)
    assert sent == [(0, 0), (0, 1)]
    line.room = 100
    box.flush()
    assert line.sent == [(0, 2), (0, 3)]


def test_what_others_have_overtaken_is_repeated_at_once_however_often():
    box, line, _ = made(4)
    for sack in (0b1, 0b11, 0b111):
        Clock.now += 5
        box.acknowledged(0, sack, False, Clock.now)
        box.flush()
        box.add(0x300, b"next")
    assert line.sent == [(RETRY, 0), (0, 4), (0, 5), (0, 6)]
    Clock.now += 5
    box.acknowledged(0, 0b1111, False, Clock.now)  # number 4, sent after the repetition
    box.flush()
    assert line.sent[4:] == [(RETRY, 0)]


def test_damage_is_repaired_at_once_if_nothing_follows_that_will_tell():
    box, line, _ = made(1)
    Clock.now += 5
    box.acknowledged(0, 0, True, Clock.now)
    box.flush()
    assert line.sent == [(RETRY, 0)]
    box, line, _ = made(2)
    Clock.now += 5
    box.acknowledged(0, 0, True, Clock.now)
    box.flush()
    assert line.sent == []


def test_only_the_oldest_frame_is_repeated_for_lack_of_any_answer():
    box, line, _ = made(3)
    Clock.now += 300
    box.flush()
    assert line.sent == [(RETRY, 0)]
