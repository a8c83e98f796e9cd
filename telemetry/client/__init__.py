"""Reports to Orbit what a script does. It needs the standard library only.

Copy this folder into your repository, under any name. ``docs/telemetry.md`` has the rest.

    with task("nightly-import", session="2026-11-28"):
        artifact("report.csv")

No function raises anything but KeyboardInterrupt.
"""

from .report import artifact, command, decision, error, flush, metric, task, violation
from .reporter import configure
from .scopes import Command, Task

__all__ = [
    "Command",
    "Task",
    "artifact",
    "command",
    "configure",
    "decision",
    "error",
    "flush",
    "metric",
    "task",
    "violation",
]
