"""The loop of a worker: claim, work, renew leases in the background, hand in outcomes."""

import logging
import os
import platform
import queue
import signal
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from .api import Api, Away, Refused, waits
from .leases import Leases
from .outcomes import Outcomes
from .tasks import Outcome, Task

log = logging.getLogger(__name__)

WAIT_SECONDS = 20
#: Tasks in one claim: Orbit gives no more.
MOST_CLAIMED = 1_000
#: How often the main thread looks for a signal. A handler mustn't set an event: the thread that it
#: interrupts may be inside its lock.
LOOK_SECONDS = 0.5
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
        self._api = Api(url or _variable("ORBIT_URL"), token or _variable("ORBIT_TOKEN"))
        self._name = name or f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:4]}"
        self._concurrency, self._most = concurrency, concurrency + ahead
        self._lease_seconds, self._grace_seconds = lease_seconds, grace_seconds
        self._run_id = run_id
        self._lock = threading.Lock()
        self._held: set[Task] = set()
        self._waiting: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._has_room = threading.Event()
        self._stopping = threading.Event()
        self._has_signal = False
        self._error: BaseException | None = None
        self._outcomes = Outcomes(self._api, self._let_go)
        self._leases = Leases(self._api, self._all_held, lease_seconds)

    def run(self) -> None:
        """Work until SIGTERM, SIGINT or ``stop``.

        Raises Refused if Orbit refuses the claim, and what else ended one of the threads.
        """
        before = self._take_signals()
        try:
            self._run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Claim nothing more and let ``run`` end."""
        self._stopping.set()
        self._has_room.set()

    def _take_signals(self) -> dict[int, Any]:
        if threading.current_thread() is not threading.main_thread():
            return {}
        numbers = (signal.SIGTERM, signal.SIGINT)
        return {number: signal.signal(number, self._on_signal) for number in numbers}

    def _on_signal(self, *_: Any) -> None:
        self._has_signal = True

    def _run(self) -> None:
        claims = self._start(self._claim)
        self._start(self._leases.run)
        threads = [self._start(self._run_tasks) for _ in range(self._concurrency)]
        outcomes = self._start(self._outcomes.run)
        while not self._stopping.wait(LOOK_SECONDS):
            if self._has_signal:
                self.stop()
        self._release_waiting()
        until = time.monotonic() + self._grace_seconds
        for _thread in threads:
            self._waiting.put(None)
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._outcomes.close()
        # What waits for Orbit has its grace, too.
        outcomes.join(max(1.0, until - time.monotonic()))
        # One that waits at Orbit claims nothing any more: when this process ends, Orbit sees it.
        claims.join(1.0)
        self._release(self._all_held())
        self._leases.close()

    def _start(self, function: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=self._guard, args=(function,), daemon=True)
        thread.start()
        return thread

    def _guard(self, function: Callable[[], None]) -> None:
        # A thread that ended silently would leave a worker that holds tasks and does nothing.
        try:
            function()
        except BaseException as error:
            log.critical("The worker ends: %s: %s", type(error).__name__, error)
            self._error = self._error or error
            self.stop()

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

    def _claim_once(self) -> bool:
        """Claim as many as there is room for. Return False if the answer was too quick."""
        room = min(self._most - len(self._all_held()), MOST_CLAIMED)
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
        answer = self._api.post("claim", body, seconds=WAIT_SECONDS + 30, answers="tasks")
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
            except BaseException as error:  # sys.exit() in the work, too
                log.exception("The task %s failed.", task.name)
                outcome = Outcome(task, error=f"{type(error).__name__}: {error}")
            self._outcomes.put(outcome)

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
        is_away = False
        for task in tasks:
            self._let_go(task)
            task.lose()
            if is_away:
                continue
            try:
                self._api.post(f"{task.id}/release", {"lease_token": task.lease_token}, seconds=5)
            except Refused as refused:
                log.warning("The task %s wasn't released: %s", task.name, refused)
            except Away as away:
                is_away = True
                log.warning("Tasks aren't released, their leases will end: %s", away)


def _variable(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise ValueError(f"The worker doesn't know Orbit: set {name}.")
    return value
