"""``python -m tests.chaos.elsewhere FILE``: a worker elsewhere, with the official client.

Each piece of work is a line of FILE, written before anything else. It outlives the worker.
"""

import os
import random
import sys
import time
from typing import Any

from orbit_worker import Task, Worker

#: Short, so that a killed worker's tasks are soon with others.
LEASE_SECONDS = 3
#: Tasks at the same time, and held besides.
CONCURRENCY, AHEAD = 4, 46


def main() -> None:
    """Work until SIGTERM."""
    effects = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    chance = random.Random(sys.argv[1])

    def work(task: Task) -> dict[str, Any]:
        os.write(effects, f"{task.id} {task.attempt}\n".encode())
        time.sleep(chance.uniform(0, task.input.get("seconds", 0.05)))
        if task.input.get("bad") == task.input.get("index", 0):
            raise ValueError("a bad child")
        if task.input.get("bad_at_first") and task.attempt == 1:
            raise ValueError("bad at first")
        if chance.random() < task.input.get("unlucky", 0):
            raise ValueError("bad luck")
        return {"attempt": task.attempt}

    Worker(
        work,
        concurrency=CONCURRENCY,
        ahead=AHEAD,
        lease_seconds=LEASE_SECONDS,
        grace_seconds=2,
    ).run()


if __name__ == "__main__":
    main()
