"""Load for the conductor: runs of every kind, created, cancelled and retried over HTTP."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import requests

from tests.chaos.fleet import LIMIT, Late

#: So many tasks wait for workers, and no more.
BACKLOG = 300
READY = "SELECT count(*) FROM orbit_conductortask WHERE ready AND priority >= 0"


@dataclass(frozen=True)
class Kind:
    """A body of a run, and the states in which it may end."""

    tasks: Sequence[dict[str, Any]]
    ends: tuple[str, ...] = ("SUCCEEDED",)
    weight: int = 1


def _parent(fanout: int, policy: Any = "wait_all", priority: int = 0, **members: Any) -> Any:
    return {
        "name": "P",
        "input": {"fanout": fanout, **members},
        "failure_policy": policy,
        "priority": priority,
    }


CANCELLED, RETRIED = "cancelled", "retried"
KINDS = {
    "leaves": Kind(
        [
            {"name": f"t{n}", "input": {"unlucky": 0.2}, "max_attempts": 100, "priority": n}
            for n in range(5)
        ],
        weight=3,
    ),
    "fan-out": Kind([_parent(20), _parent(1)], weight=3),
    "long": Kind([_parent(4, seconds=6)]),
    "nested": Kind([_parent(3, child={"fanout": 4})], weight=2),
    "wait-all": Kind([_parent(6, bad=2)], ("FAILED",)),
    "fail-fast": Kind([_parent(8, "fail_fast", bad=2)], ("FAILED",)),
    "tolerate": Kind([_parent(6, {"tolerate": 1}, bad=2)]),
    "bad": Kind([_parent(-1), {"name": "beside"}], ("FAILED",)),
    RETRIED: Kind([{"name": "r", "input": {"bad_at_first": True}}, {"name": "beside"}]),
    # Of low priority, so that most of it still waits when it is cancelled.
    CANCELLED: Kind([_parent(2_000, priority=-1)], (CANCELLED.upper(), "SUCCEEDED")),
}


@dataclass
class Load:
    """Creates runs until ``is_over``. ``accepted``: the kind of each run that Orbit accepted."""

    name: str
    urls: Sequence[str]
    token: str
    chance: random.Random
    ready: Callable[[], int]
    is_over: Callable[[], bool]
    accepted: dict[str, str] = field(default_factory=dict)
    created: int = 0
    #: Runs to cancel or to retry, and when to look at them.
    _errands: list[tuple[float, str]] = field(default_factory=list)
    _turn: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        self._turn = cycle(self.urls)

    def run(self) -> None:
        """Create runs, then do the errands that are left. Raises Late."""
        weights = [kind.weight for kind in KINDS.values()]
        while not self.is_over():
            if self.ready() < BACKLOG:
                self._create(self.chance.choices(list(KINDS), weights)[0])
            self._do_errands()
            time.sleep(0.1)
        ends = time.monotonic() + 2 * LIMIT
        while self._errands:
            if time.monotonic() > ends:
                raise Late(f"these runs aren't cancelled or retried yet: {self._errands}")
            self._do_errands()
            time.sleep(0.1)

    def _create(self, kind: str) -> None:
        self.created += 1
        name = f"{kind} {self.name}-{self.created}"
        body = {"name": name, "tasks": KINDS[kind].tasks}
        # The same key at each try, because an answer may be lost.
        answer = self._send("POST", "runs", body, key=name)
        if answer.status_code != 201:
            raise AssertionError(f"the run {name} was answered {answer.status_code} {answer.text}")
        run = answer.json()["id"]
        self.accepted[run] = kind
        if kind in {CANCELLED, RETRIED}:
            self._errands.append((time.monotonic() + self.chance.uniform(0.2, 3), run))

    def _do_errands(self) -> None:
        due = [errand for errand in self._errands if errand[0] <= time.monotonic()]
        for errand in due:
            run = errand[1]
            if self._cancel(run) if self.accepted[run] == CANCELLED else self._retry(run):
                self._errands.remove(errand)

    def _cancel(self, run: str) -> bool:
        answer = self._send("POST", f"runs/{run}/cancel", {"reason": "chaos"})
        # It has ended, or the answer to the first try was lost; 404: retention has deleted it.
        return answer.status_code in {202, 404, 409}

    def _retry(self, run: str) -> bool:
        """Retry what failed; return whether the run has succeeded."""
        answer = self._send("GET", f"runs/{run}")
        if answer.status_code == 404 or answer.json()["state"] == "SUCCEEDED":
            return True
        failed = self._send("GET", f"runs/{run}/tasks?state=FAILED")
        for task in failed.json()["results"]:
            self._send("POST", f"tasks/{task['id']}/retry", {"reason": "chaos"})
        return False

    def _send(
        self, method: str, path: str, body: Any = None, *, key: str = ""
    ) -> requests.Response:
        """Send to one web server after the other until one answers. Raises Late."""
        ends, headers = time.monotonic() + LIMIT, {"Authorization": f"Bearer {self.token}"}
        if key:
            headers["Idempotency-Key"] = key
        while time.monotonic() < ends:
            url = f"{next(self._turn)}/conductor/{path}"
            try:
                answer = requests.request(method, url, json=body, headers=headers, timeout=20)
            except requests.RequestException:
                time.sleep(0.1)
                continue
            if answer.status_code == 500:
                raise AssertionError(f"{method} {path} was answered 500 {answer.text}")
            if answer.status_code not in {429, 502, 503, 504}:
                return answer
            time.sleep(0.2)
        raise Late(f"no web server answers {method} {path} (after {LIMIT:g} s)")
