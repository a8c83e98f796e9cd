"""Hands in what tasks ended with. Many short tasks share a call."""

import json
import logging
import queue
import time
from collections.abc import Callable, Iterator
from typing import Any

from .api import Api, Away, Refused, waits
from .tasks import Outcome, Task

log = logging.getLogger(__name__)

#: Tasks and bytes of outputs in one call.
MOST_TASKS, MOST_BYTES = 100, 512 * 1024


class Outcomes:
    """Outcomes that wait to be sent. ``let_go`` is called for each task when it is over."""

    def __init__(self, api: Api, let_go: Callable[[Task], None]) -> None:
        self._api, self._let_go = api, let_go
        self._queue: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()

    def put(self, outcome: Outcome) -> None:
        """Send it soon."""
        self._queue.put(outcome)

    def close(self) -> None:
        """End ``run`` after what waits."""
        self._queue.put(None)

    def run(self) -> None:
        """Send until ``close``."""
        while (first := self._queue.get()) is not None:
            batch = [first, *self._more()]
            for outcome in batch:
                if outcome.error is None and (problem := _problem(outcome.output)):
                    self._end(Outcome(outcome.task, error=problem))
            done = [one for one in batch if one.error is None and not _problem(one.output)]
            for part in _parts(done):
                self._complete(part)
            for outcome in batch:
                if outcome.error is not None:
                    self._end(outcome)

    def _more(self) -> Iterator[Outcome]:
        for _ in range(MOST_TASKS - 1):
            try:
                outcome = self._queue.get_nowait()
            except queue.Empty:
                return
            if outcome is None:
                self._queue.put(None)  # for the next round: the end
                return
            yield outcome

    def _complete(self, outcomes: list[Outcome]) -> None:
        if len(outcomes) == 1:
            self._end(outcomes[0])
            return
        body = {
            "tasks": [
                {"id": one.task.id, "lease_token": one.task.lease_token, "output": one.output}
                for one in outcomes
            ]
        }
        tasks = [one.task for one in outcomes]
        try:
            answer = self._send("complete", body, tasks, answers="results")
        except Refused as refused:
            log.warning("Together they were refused, so each goes alone: %s", refused)
            for outcome in outcomes:
                self._end(outcome)
            return
        for result in (answer or {}).get("results", []):
            if result.get("code") and not _is_in(result):
                log.warning("The outcome of %s wasn't taken: %s", result["id"], result["code"])
        for task in tasks:
            self._let_go(task)

    def _end(self, outcome: Outcome) -> None:
        task = outcome.task
        try:
            self._end_one(outcome)
        except Refused as refused:
            if not _is_in(refused.document):
                log.warning("The outcome of %s wasn't taken: %s", task.name, refused)
                task.lose()
        self._let_go(task)

    def _end_one(self, outcome: Outcome) -> None:
        task = outcome.task
        token = {"lease_token": task.lease_token}
        if outcome.error is not None:
            self._send(f"{task.id}/fail", {**token, "error": outcome.error}, [task])
            return
        try:
            self._send(f"{task.id}/complete", {**token, "output": outcome.output}, [task])
        except Refused as refused:
            if refused.status in {404, 409}:
                raise
            error = f"Its output was refused: {refused}"
            self._send(f"{task.id}/fail", {**token, "error": error}, [task])

    def _send(
        self, path: str, body: dict[str, Any], tasks: list[Task], answers: str = ""
    ) -> dict[str, Any] | None:
        """Send until it arrives or every lease is over. Raises Refused."""
        for wait in waits():
            if all(task.is_lost for task in tasks):
                log.warning("Given up, their leases are over: %s", [task.name for task in tasks])
                return None
            try:
                return self._api.post(path, body, answers=answers)
            except Away as away:
                log.warning("An outcome waits: %s", away)
                time.sleep(max(away.wait, wait))
        return None


def _is_in(refusal: dict[str, Any]) -> bool:
    """Return whether the outcome was taken the first time, whose answer was lost."""
    return bool(refusal.get("ended_by_this_token"))


def _problem(output: Any) -> str | None:
    try:
        json.dumps(output, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        return f"The output isn't JSON: {error}"
    return None


def _parts(outcomes: list[Outcome]) -> Iterator[list[Outcome]]:
    part: list[Outcome] = []
    size = 0
    for outcome in outcomes:
        length = len(json.dumps(outcome.output))
        if part and size + length > MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(outcome)
        size += length
    if part:
        yield part
