"""The application of the web server: reads requests, passes them to a pool, writes answers.

It runs on the server's event loop, so a client that sends or takes slowly holds no thread. Django
runs in the threads of the pools and gets whole requests only.
"""

import asyncio
import logging
import socket
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

from governance.kernel.request_context import request_id
from governance.rest import held
from governance.rest.request_id import accepted
from orbit_site.web import environ, idle, refusals, shares, waiting
from orbit_site.web.environ import Scope
from orbit_site.web.pools import Busy, Overstayed, Pool
from orbit_site.web.refusals import Refusal, Send
from orbit_site.web.waiting import WaitingRoom

log = logging.getLogger(__name__)

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
WSGIApplication = Callable[[dict[str, Any], Any], Any]

#: A request must be there after this time, and a second more for each MiB of its body.
READ_SECONDS = 10.0
#: A client that takes nothing for this long loses its answer.
TAKE_SECONDS = 60.0
#: What comes of a body beyond ``SMALL_BODY`` shares ``LARGE_BODIES`` with others of its limit, in
#: bytes: events, which may be large, leave the room of all others alone.
LARGE_BODIES = 64 * 1024 * 1024
LONGEST_URL, LONGEST_HEADERS = 8 * 1024, 64 * 1024
#: A streamed answer is made in pieces of about this size, each by whichever thread is free.
PIECE = 256 * 1024
MIB = 1024 * 1024


class Disconnected(Exception):
    """The client has gone."""


@dataclass(slots=True)
class Body:
    """What came of a request's body."""

    length: int  # as announced, or as read
    limit: int
    data: bytes = b""
    shared: int = 0  # its part of ``LARGE_BODIES``


@dataclass(slots=True)
class Answer:
    """What Django answers, and the body's chunks that are left to send."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    chunks: Iterable[bytes] = ()  # an iterator: what was taken isn't left
    close: Callable[[], None] = lambda: None
    #: Undoes what the request did, for a client that has gone without the answer.
    undo: Callable[[], object] | None = None

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        """Take status and headers: WSGI's ``start_response``."""
        self.status = int(status.partition(" ")[0])
        self.headers = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in headers
        ]

    def next_piece(self) -> tuple[bytes, bool]:
        """Return the next bytes of the body, and whether there may be more."""
        parts, size = [], 0
        for chunk in self.chunks:
            parts.append(chunk)
            size += len(chunk)
            if size >= PIECE:
                return b"".join(parts), True
        self.close()
        return b"".join(parts), False


class Front:
    """The ASGI application around a WSGI one. Make it on the event loop."""

    def __init__(
        self,
        application: WSGIApplication,
        *,
        is_draining: Callable[[], bool] = lambda: False,
        has_work: Callable[[], bool] = lambda: True,
    ) -> None:
        self._application = application
        self._is_draining = is_draining
        self._waiting = WaitingRoom(partial(self._in_ordinary, has_work), is_draining)
        self._pools = {name: Pool(name, size) for name, size in shares.SIZES.items()}
        self._large_bodies: Counter[int] = Counter()  # by limit
        self.connections = idle.IdleConnections()

    def close(self) -> None:
        """End the threads, each after its present request."""
        for pool in self._pools.values():
            pool.close()

    def stop_waiting(self) -> None:
        """Answer the requests that wait for work, now and from now on."""
        self._waiting.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        peer = idle.peer_of(scope["client"])
        self.connections.began(peer)
        try:
            await self._respond(scope, receive, send)
        finally:
            self.connections.ended(peer)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id.set(_request_id(scope))
        try:
            answer, piece, more = await self._ask(scope, receive)
        except Refusal as refusal:
            await refusals.send_to(scope, send, refusal)
        except Disconnected:
            # Perhaps only its chunks are broken: the server would answer 500.
            with suppress(Exception):
                await refusals.send_to(scope, send, refusals.BROKE_OFF)
        except Exception as error:
            log.exception("A request failed outside of Django.")
            await refusals.send_to(scope, send, refusals.failed(error))
        else:
            headers = answer.headers
            if self._is_draining():
                headers = [*headers, (b"connection", b"close")]
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            if more:
                await self._stream(scope, receive, send, answer, piece)
            else:
                await send({"type": "http.response.body", "body": piece})

    async def _ask(self, scope: Scope, receive: Receive) -> tuple[Answer, bytes, bool]:
        """Read the request and let Django answer it. Raises Refusal and Disconnected."""
        _check_head(scope)
        path = unquote_to_bytes(scope["raw_path"]).decode("latin-1")
        limit = shares.largest_body(scope["method"], path)
        body = Body(_announced_length(scope, limit), limit)
        try:
            await self._read_in_time(receive, body)
            share = shares.of(scope["method"], path, body.data)
            if (scope["method"], path) in waiting.ROUTES:
                return await self._ask_until_answered(share, scope, body, receive)
            return await self._run(share, self._call(scope, body))
        except waiting.Gone:
            raise Disconnected from None
        finally:
            self._large_bodies[body.limit] -= body.shared

    async def _ask_until_answered(
        self, share: str, scope: Scope, body: Body, receive: Receive
    ) -> tuple[Answer, bytes, bool]:
        """Let Django answer a request that may wait. Raises Gone and Refusal."""
        leaves = asyncio.ensure_future(_disconnected(receive))

        async def ask() -> tuple[Answer, bytes, bool]:
            call = self._call(scope, body)
            answer, piece, more = await self._run(share, partial(_unless_gone, leaves, call))
            if leaves.done():
                await self._undo(answer)
                raise waiting.Gone
            return answer, piece, more

        try:
            return await self._waiting.hold(await ask(), ask, leaves)
        finally:
            leaves.cancel()

    def _call(self, scope: Scope, body: Body) -> Callable[[], tuple[Answer, bytes, bool]]:
        environment = environ.build(scope, body.data, length=body.length)
        environment["HTTP_X_REQUEST_ID"] = request_id.get()
        return partial(_answer, self._application, environment)

    async def _undo(self, answer: Answer) -> None:
        """Undo what an answer tells that its client won't read."""
        if answer.undo is None:
            return
        try:
            await self._pools[shares.ORDINARY].run(answer.undo)
        except Exception as error:
            # Tasks wait for the end of their lease, then.
            log.warning("What a client that is gone asked for wasn't undone: %s", error)

    async def _read_in_time(self, receive: Receive, body: Body) -> None:
        """Read the body. One over the limit isn't kept: Django refuses it by its length.

        Raises Refusal and Disconnected.
        """
        if body.length == 0 or body.length > body.limit:
            return
        try:
            async with asyncio.timeout(READ_SECONDS + body.length / MIB):
                await self._read(receive, body)
        except TimeoutError:
            raise Refusal(
                HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The request didn't arrive in time."
            ) from None

    async def _read(self, receive: Receive, body: Body) -> None:
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
            size += len(parts[-1])
            if size > body.limit:
                body.length = size
                return
            # By what has come: announcing much costs a client nothing.
            share = max(0, size - shares.SMALL_BODY)
            self._large_bodies[body.limit] += share - body.shared
            body.shared = share
            if share and self._large_bodies[body.limit] > LARGE_BODIES:
                raise refusals.busy("Too many large requests at once.")
        body.data, body.length = b"".join(parts), size

    async def _run(
        self, share: str, function: Callable[[], tuple[Answer, bytes, bool]]
    ) -> tuple[Answer, bytes, bool]:
        try:
            return await self._pools[share].run(function)
        except Busy:
            raise refusals.busy("The server is busy.") from None
        except Overstayed:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "request_overstayed",
                "The request took too long and was given up. "
                "What it should do may be done: look before you send it again.",
                again=True,
            ) from None

    async def _in_ordinary(self, function: Callable[[], bool]) -> bool:
        return await self._pools[shares.ORDINARY].run(function)

    async def _stream(
        self, scope: Scope, receive: Receive, send: Send, answer: Answer, piece: bytes
    ) -> None:
        """Send the pieces as the client takes them; break off a client that doesn't."""
        ordinary = self._pools[shares.ORDINARY]
        gone = asyncio.ensure_future(_disconnected(receive))
        more = True
        try:
            while not gone.done():
                async with asyncio.timeout(TAKE_SECONDS):
                    await send({"type": "http.response.body", "body": piece, "more_body": more})
                piece = b""
                if not more:
                    return
                piece, more = await ordinary.run(answer.next_piece)
        except Exception as error:
            if not isinstance(error, TimeoutError):
                log.warning("A streamed answer broke off: %s", error or type(error).__name__)
            # An answer that merely ended would pass for a complete one.
            await asyncio.to_thread(_hang_up, scope["client"])
        finally:
            gone.cancel()
            if piece:
                await self._undo(answer)
            if more:
                # ValueError: a thread that was given up is still at it.
                with suppress(Busy, Overstayed, ValueError):
                    await ordinary.run(partial(_close, answer))


def _answer(
    application: WSGIApplication, environment: dict[str, Any]
) -> tuple[Answer, bytes, bool]:
    answer = Answer()
    chunks = application(environment, answer.start)
    answer.close = getattr(chunks, "close", answer.close)
    answer.undo = held.undo_of(environment)
    # The answer to a HEAD has no body, however long making it would take.
    answer.chunks = iter(() if environment["REQUEST_METHOD"] == "HEAD" else chunks)
    try:
        piece, more = answer.next_piece()
    except BaseException:
        answer.close()
        raise
    return answer, piece, more


def _unless_gone(
    leaves: "asyncio.Future[None]", call: Callable[[], tuple[Answer, bytes, bool]]
) -> tuple[Answer, bytes, bool]:
    if leaves.done():
        raise waiting.Gone
    return call()


def _close(answer: Answer) -> None:
    answer.close()


async def _disconnected(receive: Receive) -> None:
    # The server gives an empty body first, if nothing was read.
    while (await receive())["type"] != "http.disconnect":
        pass


def _request_id(scope: Scope) -> str:
    received = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    text = received.decode("latin-1")
    return text if accepted(text) else uuid.uuid4().hex


def _check_head(scope: Scope) -> None:
    if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_URL:
        raise Refusal(
            HTTPStatus.REQUEST_URI_TOO_LONG,
            "bad_request",
            f"The address is longer than {LONGEST_URL} bytes.",
        )
    if sum(len(name) + len(value) for name, value in scope["headers"]) > LONGEST_HEADERS:
        raise Refusal(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            "bad_request",
            f"The headers are longer than {LONGEST_HEADERS} bytes.",
        )


def _announced_length(scope: Scope, limit: int) -> int:
    """Return the body's length; a chunked body announces none and may be of any."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)  # the server has checked it
        if name == b"transfer-encoding":
            return limit
    return 0


def _hang_up(client: tuple[str, str | int]) -> None:
    """Close the connection of ``client`` (address, port): the server has no call for it."""
    for peer, connection in idle.connections():
        if peer == idle.peer_of(client):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
