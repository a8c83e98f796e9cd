"""Run manage.py on a host whose wall clock is wrong.

``python -m tests.support.wrong_clock FILE COMMAND...``: FILE holds the seconds by which the clock
is ahead. They may change while the command runs. The steady clocks stay right, as they do on a host
that was suspended, or whose time is set.
"""

import copyreg
import datetime
import runpy
import sys
import time
from pathlib import Path
from typing import Any

_real_time, _real_time_ns, _real = time.time, time.time_ns, datetime.datetime


class _AnyDatetime(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _real)


def main(file: Path, arguments: list[str]) -> None:
    """Run ``manage.py`` with ``arguments``; the clock follows ``file``."""

    def ahead() -> float:
        return float(file.read_text() or 0)

    class Wrong(_real, metaclass=_AnyDatetime):
        __slots__ = ()

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return _real.fromtimestamp(time.time(), tz)

        @classmethod
        def utcnow(cls) -> Any:
            return _real.fromtimestamp(time.time(), datetime.UTC).replace(tzinfo=None)

    # Pickles name the class; those of the queue may name no other.
    Wrong.__name__, Wrong.__qualname__, Wrong.__module__ = "datetime", "datetime", "datetime"
    copyreg.pickle(_real, lambda value: (Wrong, value.__reduce_ex__(2)[1]))
    time.time = lambda: _real_time() + ahead()
    time.time_ns = lambda: _real_time_ns() + int(ahead() * 1e9)
    datetime.datetime = Wrong  # type: ignore[misc]
    sys.argv = ["manage.py", *arguments]
    runpy.run_path("manage.py", run_name="__main__")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
