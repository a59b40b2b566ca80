"""A filter in Python, for the benchmark of native ones: `words.c` does the same."""

from boardtalk.sdk import CONSUMED, PASS, Message, Module, Settings, Verdict


class Words(Module):
    """Lets nothing go on that has a blocked word in it."""

    name = "words"

    class Config(Settings):
        """What is blocked."""

        blocked: tuple[str, ...]

    def on_message(self, message: Message) -> Verdict:
        """Look for each word."""
        return CONSUMED if any(word in message.body for word in self.config.blocked) else PASS
