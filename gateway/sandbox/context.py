"""The context of a module in a process of its own: each method of the hub's is asked of the gateway."""

from __future__ import annotations

import threading
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from boardtalk.checked import checked_values
from boardtalk.instance.work import Work
from boardtalk.sandbox import api
from boardtalk.sdk import Contact, OutsideError, Refused, ServiceError

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from boardtalk.sdk import Action, Connection, Message, Response, Settings, Status

T = TypeVar("T")
SEEN_BYTES: Final = 500_000
"""Told of what a module sees between two requests of the gateway; one comes every other second."""
VALUE_BYTES: Final = 100
"""What a number counts."""
_ERRORS: Final = {"KeyError": KeyError, "ValueError": ValueError}


class Gateway:
    """The gateway, at the other end of a socket. A question waits for its answer."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._answers = connection.makefile("rb")
        self._decoder: msgspec.json.Decoder[api.AnyReply] = msgspec.json.Decoder(api.AnyReply)
        self._turn = threading.Lock()

    def ask(self, ask: api.Ask) -> Any:
        """What the gateway's context returns, or raises."""
        with self._turn:
            self._connection.sendall(msgspec.json.encode(ask) + b"\n")
            line = self._answers.readline()
        if not line:
            raise ServiceError("the gateway is gone")
        match self._decoder.decode(line):
            case api.Refusal(code=code, reason=reason):
                raise Refused(code, reason)
            case api.Wrong(kind=kind, text=text):
                raise _ERRORS[kind](text)
            case api.Returned(value=value):
                return msgspec.json.decode(value, type=ask.answer)


class Notes(MutableMapping[str, Any]):
    """What the instance keeps, in the gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def __getitem__(self, key: str) -> Any:
        return self._gateway.ask(api.ReadNote(key=key))

    def __setitem__(self, key: str, value: Any) -> None:
        self._gateway.ask(api.WriteNote(key=key, value=value))

    def __delitem__(self, key: str) -> None:
        self._gateway.ask(api.DeleteNote(key=key))

    def __iter__(self) -> Iterator[str]:
        keys: list[str] = self._gateway.ask(api.NoteKeys())
        return iter(keys)

    def __len__(self) -> int:
        return len(list(iter(self)))


class Log:
    """Has the gateway log."""

    def __init__(self, say: Callable[[object], None]) -> None:
        self._say = say

    def debug(self, event: str, **values: Any) -> None:
        """For whoever looks for a fault."""
        self._tell("debug", event, values)

    def info(self, event: str, **values: Any) -> None:
        """Ordinary news."""
        self._tell("info", event, values)

    def warning(self, event: str, **values: Any) -> None:
        """Worth a look."""
        self._tell("warning", event, values)

    def error(self, event: str, **values: Any) -> None:
        """Something failed."""
        self._tell("error", event, values)

    def _tell(self, level: Any, event: str, values: dict[str, Any]) -> None:
        plain = msgspec.to_builtins(values, enc_hook=str, str_keys=True)
        self._say(api.Logged(level=level, event=event, values=plain))


class SandboxContext(Work):
    """See :class:`boardtalk.sdk.Context`.

    Args:
        begin: which instance it is of.
        gateway: whom to ask.
        tasks: where the module's tasks run.
        say: sends something that needs no answer.
    """

    watched = False
    """As the gateway's last request said."""
    _room = 0
    """How much may still be told until the next one."""

    def __init__(
        self, begin: api.Begin, gateway: Gateway, tasks: asyncio.TaskGroup, say: Callable[[object], None]
    ) -> None:
        super().__init__(begin.instance, tasks)
        self.state = Path(begin.state)
        self.folder = Path(begin.folder)
        self.verbosity = begin.verbosity
        self.log = Log(say)
        self.notes: MutableMapping[str, Any] = Notes(gateway)
        self._gateway = gateway
        self._say = say
        self._has_network = begin.jail.network

    def saw(self, what: str, value: T) -> T:
        """Let the gateway know it, if it wants to; the same value."""
        if self.watched:
            size = VALUE_BYTES + (len(value["body"]) if isinstance(value, dict) else 0)
            self._room -= size
            if self._room >= 0:
                self._say(api.Saw(what=what, value=value))
        return value

    def watch(self, *, watched: bool) -> None:
        """Take from a request of the gateway's whether it wants to know what the module sees."""
        self.watched, self._room = watched, SEEN_BYTES

    def send(self, message: Message, status: Status | None = None) -> None:
        """See the SDK."""
        self._gateway.ask(api.Send(message=message, status=status))

    def report(self, message: Message, status: Status) -> None:
        """See the SDK."""
        self._gateway.ask(api.Report(message=message, status=status))

    def explain(self, message: Message, what: str, detail: str = "") -> None:
        """See the SDK."""
        self._gateway.ask(api.Explain(message=message, what=what, detail=detail))

    def register(self, contact: Contact) -> None:
        """See the SDK."""
        self._gateway.ask(api.Register(contact=contact))

    def unregister(self, address: str) -> None:
        """See the SDK."""
        self._gateway.ask(api.Unregister(address=address))

    def publish(self, address: str, values: Mapping[str, float | str], at: float | None = None) -> bool:
        """See the SDK."""
        values = checked_values(values)  # what JSON can't say would end the conversation
        return bool(self._gateway.ask(api.Publish(address=address, values=values, at=at)))

    def end_call(self, call_id: str, reason: str) -> None:
        """See the SDK."""
        self._gateway.ask(api.EndCall(call_id=call_id, reason=reason))

    def allowed(
        self,
        sender: str,
        action: Action,
        to: str,
        command: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        """See the SDK."""
        plain = None if values is None else dict(values)
        ask = api.Allowed(sender=sender, action=action, to=to, command=command, values=plain)
        return bool(self._gateway.ask(ask))

    def require(
        self,
        sender: str,
        action: Action,
        to: str,
        command: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> str:
        """See the SDK."""
        plain = None if values is None else dict(values)
        ask = api.Require(sender=sender, action=action, to=to, command=command, values=plain)
        return str(self._gateway.ask(ask))

    def contacts(self) -> list[Contact]:
        """See the SDK."""
        found: list[Contact] = self._gateway.ask(api.Contacts())
        return found

    def contact(self, address: str) -> Contact | None:
        """See the SDK."""
        found: Contact | None = self._gateway.ask(api.ContactOf(address=address))
        return found

    def robots(self, address: str) -> tuple[str, ...]:
        """See the SDK."""
        found: tuple[str, ...] = self._gateway.ask(api.Robots(address=address))
        return found

    def blocks(self, kind: str) -> Mapping[str, Settings]:
        """None: a module that declares blocks can't be isolated."""
        return {}

    def http(self, url: str, **options: Any) -> AbstractAsyncContextManager[Response]:
        """See the SDK."""
        self._require_network()
        return super().http(url, **options)

    def connect(self, url: str, **options: Any) -> AbstractAsyncContextManager[Connection]:
        """See the SDK."""
        self._require_network()
        return super().connect(url, **options)

    def _require_network(self) -> None:
        if not self._has_network:
            name = self.instance.partition("#")[0]
            raise OutsideError(
                f"this module is isolated, without network: `network = yes` in `module {name}` grants it"
            )
