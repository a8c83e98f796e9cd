"""A worker for Orbit's conductor. It needs ``requests`` and no other package.

Copy this folder beside your script. ``docs/conductor.md`` has the rest.

    def work(task):
        return {"square": task.input["index"] ** 2}

    Worker(work, name="gpu-1", concurrency=4).run()
"""

from .api import Refused
from .tasks import Task
from .worker import Worker

__all__ = ["Refused", "Task", "Worker"]
