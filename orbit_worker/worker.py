"""The loop of a worker: claim, work, renew leases in the background, hand in outcomes."""

import logging
import os
import queue
import signal
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from .api import Api, Away, Refused, waits
from .outcomes import Outcomes
from .tasks import Outcome, Task

log = logging.getLogger(__name__)

WAIT_SECONDS = 20
#: An empty answer that came at once: Orbit has no room for one more that waits.
PAUSE_SECONDS = 2.0


class Worker:
    """Works on tasks with ``work``, whose result is the output; what it raises fails the attempt.

    ``concurrency``: tasks at the same time, a thread each. ``ahead``: tasks to hold besides, so
    that short ones don't wait for a claim. ``run_id``: of this run only.
    """

    def __init__(
        self,
        work: Callable[[Task], Any],
        *,
        url: str | None = None,
        token: str | None = None,
        name: str | None = None,
        concurrency: int = 1,
        ahead: int = 0,
        lease_seconds: int = 60,
        grace_seconds: float = 20.0,
        run_id: str | None = None,
    ) -> None:
        self._work = work
        self._api = Api(url or os.environ["ORBIT_URL"], token or os.environ["ORBIT_TOKEN"])
        self._name = name or f"{os.uname().nodename}-{os.getpid()}-{uuid.uuid4().hex[:4]}"
        self._concurrency, self._most = concurrency, concurrency + ahead
        self._lease_seconds, self._grace_seconds = lease_seconds, grace_seconds
        self._run_id = run_id
        self._lock = threading.Lock()
        self._held: set[Task] = set()
        self._waiting: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._has_room = threading.Event()
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._refused: Refused | None = None
        self._outcomes = Outcomes(self._api, self._let_go)

    def run(self) -> None:
        """Work until SIGTERM, SIGINT or ``stop``. Raises Refused if Orbit refuses the claim."""
        before = self._take_signals()
        try:
            self._run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._refused is not None:
            raise self._refused

    def stop(self) -> None:
        """Claim nothing more and let ``run`` end."""
        self._stopping.set()
        self._has_room.set()

    def _take_signals(self) -> dict[int, Any]:
        if threading.current_thread() is not threading.main_thread():
            return {}
        numbers = (signal.SIGTERM, signal.SIGINT)
        return {number: signal.signal(number, lambda *_: self.stop()) for number in numbers}

    def _run(self) -> None:
        claims = self._start(self._claim)
        self._start(self._renew)
        threads = [self._start(self._run_tasks) for _ in range(self._concurrency)]
        outcomes = self._start(self._outcomes.run)
        while not self._stopping.wait(1.0):  # a wait without an end would hold up the signal
            pass
        self._release_waiting()
        until = time.monotonic() + self._grace_seconds
        for _thread in threads:
            self._waiting.put(None)
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._outcomes.close()
        # What waits for Orbit has its grace, too.
        outcomes.join(max(1.0, until - time.monotonic()))
        claims.join(1.0)
        self._release(self._all_held())
        self._ended.set()

    def _start(self, function: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=function, daemon=True)
        thread.start()
        return thread

    def _claim(self) -> None:
        wait = waits()
        while not self._stopping.is_set():
            try:
                if not self._claim_once():
                    self._stopping.wait(PAUSE_SECONDS)
                wait = waits()
            except Away as away:
                log.warning("No tasks for now: %s", away)
                self._stopping.wait(max(away.wait, next(wait)))
            except Refused as refused:
                self._refused = refused
                self.stop()

    def _claim_once(self) -> bool:
        """Claim as many as there is room for. Return False if the answer was too quick."""
        room = self._most - len(self._all_held())
        if room <= 0:
            self._has_room.wait()
            self._has_room.clear()
            return True
        body: dict[str, Any] = {
            "worker": self._name,
            "limit": room,
            "lease_seconds": self._lease_seconds,
            "wait_seconds": WAIT_SECONDS,
        }
        if self._run_id is not None:
            body["run_id"] = self._run_id
        began = time.monotonic()
        answer = self._api.post("claim", body, seconds=WAIT_SECONDS + 30)
        now = time.monotonic()
        tasks = [self._task(given, now) for given in answer["tasks"]]
        with self._lock:
            self._held.update(tasks)
        if self._stopping.is_set():
            self._release(tasks)
            return True
        for task in tasks:
            self._waiting.put(task)
        return bool(tasks) or now - began > PAUSE_SECONDS

    def _task(self, given: dict[str, Any], now: float) -> Task:
        return Task(
            id=given["id"],
            name=given["name"],
            input=given["input"],
            attempt=given.get("attempt", 1),
            lease_token=given["lease_token"],
            held_until=now + self._lease_seconds,
        )

    def _run_tasks(self) -> None:
        while (task := self._waiting.get()) is not None:
            if task.is_lost:
                self._let_go(task)
                continue
            try:
                outcome = Outcome(task, output=self._work(task))
            except Exception as error:
                log.exception("The task %s failed.", task.name)
                outcome = Outcome(task, error=f"{type(error).__name__}: {error}")
            self._outcomes.put(outcome)

    def _renew(self) -> None:
        """Renew each lease three times in its time, and say which are lost."""
        while not self._ended.wait(self._lease_seconds / 3):
            tasks = self._all_held()
            if not tasks:
                continue
            named = [{"id": task.id, "lease_token": task.lease_token} for task in tasks]
            body = {"tasks": named, "lease_seconds": self._lease_seconds}
            began = time.monotonic()
            try:
                answer = self._api.post("heartbeat", body, seconds=self._lease_seconds / 3)
            except (Away, Refused) as problem:
                log.warning("Leases weren't renewed: %s", problem)
                continue
            for task, result in zip(tasks, answer["results"], strict=True):
                if result.get("code"):
                    task.lose()
                else:
                    task.held_until = began + self._lease_seconds

    def _all_held(self) -> list[Task]:
        with self._lock:
            return list(self._held)

    def _let_go(self, task: Task) -> None:
        with self._lock:
            self._held.discard(task)
        self._has_room.set()

    def _release_waiting(self) -> None:
        waiting = []
        try:
            while True:
                task = self._waiting.get_nowait()
                if task is not None:
                    waiting.append(task)
        except queue.Empty:
            self._release(waiting)

    def _release(self, tasks: list[Task]) -> None:
        """Give tasks back. What can't be given back waits for the end of its lease."""
        for task in tasks:
            self._let_go(task)
            try:
                self._api.post(f"{task.id}/release", {"lease_token": task.lease_token}, seconds=5)
            except (Away, Refused) as problem:
                log.warning("The task %s wasn't released: %s", task.name, problem)
            task.lose()
