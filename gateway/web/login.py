"""Logging in and out, and the first visit. All that changes something is a POST of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from boardtalk.frontends import control
from boardtalk.frontends.client import NoGateway, ask_unnamed
from boardtalk.web.cookies import values
from boardtalk.web.roll import LIFE_S

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import HTTPConnection, Request

    from boardtalk.page.settings import PageSettings
    from boardtalk.web.sessions import Session, Sessions

T = TypeVar("T")


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """Of `POST /login`."""

    user: str
    password: str


class FirstVisit(Credentials, forbid_unknown_fields=True):
    """Of `POST /setup`."""

    token: str


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    """Of `POST /password`."""

    password: str
    new: str


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """Of `POST /logout`: ``{}``."""


class Ending(msgspec.Struct, forbid_unknown_fields=True):
    """Of `POST /sessions/end`."""

    name: str = ""
    """Which; "" = all but this one."""


class Login:
    """The routes for people who come and go.

    Args:
        settings: of the page.
        folder: the state folder.
        sessions: all of them.
    """

    def __init__(self, settings: PageSettings, folder: Path, sessions: Sessions) -> None:
        self._settings = settings
        self._folder = folder
        self._sessions = sessions

    def session(self, connection: HTTPConnection) -> Session | None:
        """The session of a request; None if nobody has logged in there."""
        header = "; ".join(connection.headers.getlist("cookie"))
        found = map(self._sessions.find, values(header, self._settings.cookie))
        return next((each for each in found if each), None)

    async def log_in(self, request: Request) -> JSONResponse:
        """`POST /login`: a password for a session."""
        given = await _body(request, Credentials)
        return await self._admit(request, control.Verify(given.user, given.password, _address(request)))

    async def set_up(self, request: Request) -> JSONResponse:
        """`POST /setup`: a token for an account and a session."""
        given = await _body(request, FirstVisit)
        wish = control.SetUp(given.token, given.user, given.password, _address(request))
        return await self._admit(request, wish)

    async def change_password(self, request: Request) -> JSONResponse:
        """`POST /password`: ends all sessions of this user, and begins a new one here."""
        user, given = self._required(request).kept.user, await _body(request, NewPassword)
        wish = control.NewPassword(user, given.password, given.new, _address(request))
        return await self._admit(request, wish)

    async def log_out(self, request: Request) -> JSONResponse:
        """`POST /logout`: also where nobody is logged in."""
        await _body(request, Nothing)
        if session := self.session(request):
            self._sessions.end(session)
        answer = JSONResponse({})
        answer.delete_cookie(self._settings.cookie, **self._flags)
        return answer

    async def me(self, request: Request) -> JSONResponse:
        """`GET /me`: who is logged in here, and where the stop button is served."""
        kept = self._required(request).kept
        return JSONResponse({"user": kept.user, "role": kept.role, "stop_port": self._settings.stop_port})

    async def list_sessions(self, request: Request) -> JSONResponse:
        """`GET /sessions`: where this user is logged in, the last used first."""
        own = self._required(request)
        mine = sorted(self._sessions.of(own.kept.user), key=lambda each: -each.kept.used)
        return JSONResponse({"sessions": [self._shown(each, own) for each in mine]})

    async def end_sessions(self, request: Request) -> JSONResponse:
        """`POST /sessions/end`: log out elsewhere."""
        own, wish = self._required(request), await _body(request, Ending)
        others = [each for each in self._sessions.of(own.kept.user) if each is not own]
        chosen = [each for each in others if wish.name in ("", each.name)]
        if wish.name and not chosen:
            raise HTTPException(404, "there is no such session any more")
        self._sessions.end(*chosen)
        return JSONResponse({"ended": len(chosen)})

    @property
    def _flags(self) -> dict[str, Any]:
        secure = bool(self._settings.certificate)
        return {"path": "/", "httponly": True, "samesite": "strict", "secure": secure}

    def _required(self, request: Request) -> Session:
        if session := self.session(request):
            return session
        raise HTTPException(401, "log in first")

    async def _admit(
        self, request: Request, wish: control.Verify | control.SetUp | control.NewPassword
    ) -> JSONResponse:
        """Let somebody in if the gateway says so. His session is new: nobody else can have chosen its id."""
        try:
            reply = await ask_unnamed(self._folder, wish)
        except NoGateway as error:
            raise HTTPException(503, "the gateway does not answer: try again in a moment") from error
        if isinstance(reply, control.NotAdmitted):
            status = 429 if reply.wait else 401
            return JSONResponse({"reason": reply.reason, "wait": reply.wait}, status)
        assert isinstance(reply, control.Verified)  # noqa: S101 - the other answer
        if old := self.session(request):
            self._sessions.end(old)
        agent = request.headers.get("user-agent", "")
        try:
            session_id = self._sessions.open(reply.user, reply.role, reply.stamp, wish.address, agent)
        except OSError as error:
            raise HTTPException(503, f"a session can't be written: {error.strerror}") from error
        answer = JSONResponse({"user": reply.user, "role": reply.role})
        answer.set_cookie(self._settings.cookie, session_id, max_age=int(LIFE_S), **self._flags)
        return answer

    @staticmethod
    def _shown(session: Session, own: Session) -> dict[str, object]:
        kept = session.kept
        return {
            "name": session.name, "since": kept.since, "used": kept.used, "address": kept.address,
            "agent": kept.agent, "own": session is own,
        }  # fmt: skip


async def _body(request: Request, shape: type[T]) -> T:
    """The JSON of a request. Only our own scripts can send that: a form of another page can't."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "Content-Type: application/json")
    try:
        return msgspec.json.decode(await request.body(), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HTTPException(400, str(error)) from error


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
