"""A chatbot: one address that answers people, and passes commands on to robots once they say yes."""

from boardtalk.modules.chatbot.bot import Chatbot

__all__ = ["Chatbot"]
