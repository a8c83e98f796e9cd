"""Renews the leases of the tasks that this worker holds."""

import logging
import threading
import time
from collections.abc import Callable, Iterator

from .api import Api, Away, Refused, waits
from .tasks import Task

log = logging.getLogger(__name__)

#: Tasks in one call. Orbit takes 1,000; this many are a small request.
MOST_TASKS = 500


class Leases:
    """Renews each lease three times in its time; soon again when Orbit is away."""

    def __init__(self, api: Api, held: Callable[[], list[Task]], lease_seconds: int) -> None:
        self._api, self._held, self._lease_seconds = api, held, lease_seconds
        self._ended = threading.Event()

    def close(self) -> None:
        """End ``run``."""
        self._ended.set()

    def run(self) -> None:
        """Renew until ``close``, and say which are lost."""
        pause = self._lease_seconds / 3
        wait, tries = pause, waits()
        while not self._ended.wait(wait):
            try:
                for tasks in _parts(self._held()):
                    self._renew(tasks)
                wait, tries = pause, waits()
            except Away as away:
                log.warning("Leases weren't renewed: %s", away)
                wait = min(pause, max(away.wait, next(tries)))
            except Refused as refused:
                log.warning("Leases weren't renewed: %s", refused)
                wait = pause

    def _renew(self, tasks: list[Task]) -> None:
        named = [{"id": task.id, "lease_token": task.lease_token} for task in tasks]
        body = {"tasks": named, "lease_seconds": self._lease_seconds}
        began = time.monotonic()
        answer = self._api.post(
            "heartbeat", body, seconds=self._lease_seconds / 3, answers="results"
        )
        lost = {result.get("id") for result in answer["results"] if result.get("code")}
        for task in tasks:
            if task.id in lost:
                task.lose()
            else:
                task.held_until = began + self._lease_seconds


def _parts(tasks: list[Task]) -> Iterator[list[Task]]:
    for start in range(0, len(tasks), MOST_TASKS):
        yield tasks[start : start + MOST_TASKS]
