"""A claim that finds nothing waits on the event loop, not in a thread."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest

from governance.rest import held
from orbit_site.web import shares, waiting
from orbit_site.web.front import PIECE, Front
from orbit_site.web.pools import Size
from tests.site.web.test_front import Client
from tests.support import polling


class Work:
    """A view that gives each waiting client one of its tasks."""

    def __init__(self) -> None:
        self.tasks: list[bytes] = []
        self.asked = 0
        self.seconds = "20"
        self.looks = 0
        self.undone: list[bytes] = []
        self.parts = 1
        #: Called while a request is in its thread.
        self.meanwhile: Callable[[], object] = lambda: None

    def __call__(self, environment: dict[str, Any], start: Any) -> list[bytes]:
        self.asked += 1
        assert environment["wsgi.input"].read() == b"{}"
        self.meanwhile()
        if self.tasks:
            task = self.tasks.pop()
            held.undo_if_unsent(WSGIRequest(environment), lambda: self.undo(task))
            start("200 OK", [])
            return [task] * self.parts
        start("200 OK", [(held.HEADER, f"{self.seconds} queue"), ("X-Other", "1")])
        return [b"nothing"]

    def undo(self, task: bytes) -> None:
        self.undone.append(task)
        self.tasks.append(task)

    def is_there_any(self) -> bool:
        self.looks += 1
        return bool(self.tasks)


class Leaving(Client):
    """A client that can go away."""

    has_gone = False  # and the server knows it
    _goes: asyncio.Event
    _loop: asyncio.AbstractEventLoop

    async def receive(self) -> dict[str, Any]:
        if self._chunks:
            self._goes, self._loop = asyncio.Event(), asyncio.get_running_loop()
            return await super().receive()
        await self._goes.wait()
        self.has_gone = True
        return {"type": "http.disconnect"}

    def go(self) -> None:
        """Go away; a thread can call it."""
        self._loop.call_soon_threadsafe(self._goes.set)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread a pool, and many looks a second."""
    monkeypatch.setattr(shares, "SIZES", dict.fromkeys(shares.SIZES, Size(1, 10, 10, 10)))
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(waiting, "DRAIN_SECONDS", 0.01)
    monkeypatch.setattr(waiting, "REST_SECONDS", 0.01)
    monkeypatch.setattr(waiting, "LONGEST_REST_SECONDS", 0.01)


@pytest.fixture
def work() -> Work:
    return Work()


def claim() -> Client:
    return Client("/conductor/tasks/claim", "POST", b"{}", b"", content_length="2")


def leaving() -> Leaving:
    return Leaving("/conductor/tasks/claim", "POST", b"{}", b"", content_length="2")


Story = Callable[[Front, Callable[[Client], "asyncio.Future[None]"]], Awaitable[None]]


def run(work: Work, story: Story, **options: Any) -> None:
    async def whole() -> None:
        front = Front(work, has_work=work.is_there_any, **options)
        calls: list[asyncio.Future[None]] = []

        def send(client: Client) -> "asyncio.Future[None]":
            call = asyncio.ensure_future(front(client.scope, client.receive, client.send))
            calls.append(call)
            return call

        try:
            async with asyncio.timeout(60):
                await story(front, send)
        finally:
            for call in calls:
                call.cancel()
            front.close()

    asyncio.run(whole())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def test_a_claim_waits_without_a_thread_until_there_is_work(work: Work) -> None:
    clients = [claim() for _ in range(5)]

    async def story(front: Front, send: Any) -> None:
        calls = [send(client) for client in clients]
        await until(lambda: work.asked == 5 and work.looks > 2)
        assert not any(call.done() for call in calls)
        # All threads are free: five wait, and a pool has one.
        work.tasks = [b"a", b"b", b"c", b"d", b"e"]
        await asyncio.gather(*calls)

    run(work, story)
    assert sorted(client.body for client in clients) == [b"a", b"b", b"c", b"d", b"e"]


def test_a_wait_without_work_ends_with_the_empty_answer_and_without_its_mark(work: Work) -> None:
    work.seconds = "0.05"
    client = claim()

    async def story(front: Front, send: Any) -> None:
        await send(client)

    run(work, story)
    assert (client.status, client.body, client.headers) == (200, b"nothing", {"X-Other": "1"})
    assert work.asked == 1


def test_a_client_that_went_away_claims_nothing(work: Work) -> None:
    gone, stays = leaving(), claim()

    async def story(front: Front, send: Any) -> None:
        call = send(gone)
        await until(lambda: work.looks > 1)
        gone.go()
        await call
        work.tasks = [b"a"]
        await send(stays)

    run(work, story)
    assert (stays.body, work.tasks) == (b"a", [])
    assert gone.status == 400


def test_what_a_client_claimed_that_went_away_meanwhile_goes_to_the_next(work: Work) -> None:
    gone, stays = leaving(), claim()
    work.tasks = [b"a"]

    def go() -> None:
        gone.go()
        polling.until(lambda: gone.has_gone)

    async def story(front: Front, send: Any) -> None:
        work.meanwhile = go
        await send(gone)
        work.meanwhile = lambda: None
        await send(stays)

    run(work, story)
    assert (gone.status, work.undone, stays.body) == (400, [b"a"], b"a")


def test_one_that_wakes_and_has_gone_wakes_the_next(work: Work) -> None:
    gone, stays = leaving(), claim()

    def go() -> None:
        if work.tasks and not gone.has_gone:
            gone.go()
            polling.until(lambda: gone.has_gone)

    async def story(front: Front, send: Any) -> None:
        calls = [send(gone)]
        await until(lambda: work.asked == 1)
        calls.append(send(stays))
        await until(lambda: work.asked == 2)
        work.meanwhile = go
        work.tasks = [b"a"]
        await asyncio.gather(*calls)

    run(work, story)
    assert (gone.status, work.undone, stays.body) == (400, [b"a"], b"a")


def test_a_client_that_went_away_before_a_thread_came_free_is_not_served(work: Work) -> None:
    first, gone = claim(), leaving()
    work.tasks = [b"a", b"b"]
    is_free = threading.Event()

    async def story(front: Front, send: Any) -> None:
        work.meanwhile = lambda: is_free.wait(60)
        calls = [send(first)]
        await until(lambda: work.asked == 1)  # it has the only thread
        calls.append(send(gone))
        await until(lambda: not gone._chunks)
        gone.go()
        await until(lambda: gone.has_gone)
        is_free.set()
        await asyncio.gather(*calls)

    run(work, story)
    assert (first.body, gone.status) == (b"b", 400)
    assert (work.tasks, work.asked, work.undone) == ([b"a"], 1, [])


def test_a_long_answer_that_breaks_off_is_undone_and_a_whole_one_is_not(work: Work) -> None:
    class Breaks(Leaving):
        async def send(self, message: dict[str, Any]) -> None:
            await super().send(message)
            if self.pieces == 1:
                self.go()
                await until(lambda: self.has_gone)

    broken = Breaks("/conductor/tasks/claim", "POST", b"{}", b"", content_length="2")
    whole = claim()
    large = b"x" * PIECE
    work.tasks, work.parts = [large], 3

    async def story(front: Front, send: Any) -> None:
        await send(broken)
        await send(whole)

    run(work, story)
    assert (broken.complete, work.undone, whole.body) == (False, [large], large * 3)


def test_work_that_a_client_may_not_take_is_asked_for_with_rests(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "REST_SECONDS", 60.0)
    monkeypatch.setattr(waiting, "LONGEST_REST_SECONDS", 60.0)
    monkeypatch.setattr(work, "is_there_any", lambda: True)
    work.seconds = "0.3"
    clients = [claim() for _ in range(3)]

    async def story(front: Front, send: Any) -> None:
        await asyncio.gather(*[send(client) for client in clients])

    run(work, story)
    assert {client.body for client in clients} == {b"nothing"}
    # Each at first; then one for all three, and they rest.
    assert work.asked == 4


def test_no_more_than_so_many_wait(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST_WAITING", 1)
    first, second = claim(), claim()

    async def story(front: Front, send: Any) -> None:
        call = send(first)
        await until(lambda: work.looks > 0)
        await send(second)
        assert not call.done()

    run(work, story)
    assert second.body == b"nothing"


@pytest.mark.parametrize("how", ["drain", "stop"])
def test_a_drain_answers_at_once(work: Work, how: str) -> None:
    draining = False
    early, late = claim(), claim()

    async def story(front: Front, send: Any) -> None:
        nonlocal draining
        call = send(early)
        await until(lambda: work.looks > 0)
        draining = how == "drain"
        if how == "stop":
            front.stop_waiting()
        await call
        await send(late)

    run(work, story, is_draining=lambda: draining)
    assert {early.body, late.body} == {b"nothing"}


def test_a_database_that_is_away_ends_no_wait(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def away() -> bool:
        nonlocal looks
        looks += 1
        raise OSError("away")

    monkeypatch.setattr(work, "is_there_any", away)
    client = claim()

    async def story(front: Front, send: Any) -> None:
        call = send(client)
        await until(lambda: looks > 1)
        assert not call.done()

    run(work, story)
