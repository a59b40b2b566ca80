"""The smallest module, for the benchmark of isolated ones."""

from boardtalk.sdk import PASS, Message, Module, Verdict


class Passing(Module):
    """Lets everything go on."""

    name = "passing"

    def on_message(self, message: Message) -> Verdict:
        """Let it go on."""
        return PASS
