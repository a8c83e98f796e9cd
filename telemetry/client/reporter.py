"""Takes the events of this process: to the spool first, then to Orbit."""

import atexit
import os
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import Any

from . import event, notes, options, values
from .options import ANY, Options
from .sender import Sender
from .spool import Spool

#: Seconds that the end of a script waits for Orbit, at most.
EXIT_SECONDS = 2.0
_MAX_IN_MEMORY = 1_000


class Reporter:
    """The spool and the sender of a process, made when they are needed first."""

    def __init__(self, settings: Options) -> None:
        self.options = settings
        #: Of events that name no session: one for each process.
        self.session = settings.session or event.new_id()
        self.exit_seconds = EXIT_SECONDS
        roots = list(settings.roots())
        self.spools = [Spool(roots, settings.folder)]
        if settings.folder != ANY:
            self.spools.append(Spool(roots, ANY))
        self._memory: deque[bytes] = deque()
        self.sender = Sender(settings, self.spools, self._memory)

    def emit(self, item: event.Event) -> None:
        """Keep ``item`` and send it soon."""
        if self.options.is_off:
            return
        line = event.line(item)
        if not self.spools[0].append(line):
            if len(self._memory) >= _MAX_IN_MEMORY:
                self._memory.popleft()
                notes.once("memory", "events are lost: neither the disk nor Orbit takes them.")
            self._memory.append(line)
        self.sender.poke()
        notes.show()

    def finish(self) -> None:
        """Give Orbit a moment to take what is left."""
        self.sender.finish(self.exit_seconds)
        if self._memory:
            notes.once("lost", f"{len(self._memory)} events are lost: no disk and no Orbit.")
        notes.show()

    def before_fork(self) -> None:
        """Leave no thread beside the fork, if possible."""
        self.sender.stop_for_fork()

    def after_fork(self) -> None:
        """In the child: what the parent has is the parent's."""
        self._memory.clear()
        for spool in self.spools:
            spool.after_fork()
        self.sender.reset()


class _Default:
    """The reporter of the module's functions."""

    def __init__(self) -> None:
        self._reporter: Reporter | None = None

    def get(self) -> Reporter:
        if self._reporter is None:
            self._reporter = Reporter(options.from_environment())
        return self._reporter

    def configure(self, **changes: Any) -> None:
        before = self.get()
        before.finish()
        self._reporter = Reporter(replace(before.options, **changes))

    def finish(self) -> None:
        # Python would print whatever comes here, also the Ctrl-C of an author who won't wait.
        with suppress(BaseException):
            if self._reporter is not None:
                self._reporter.finish()

    def before_fork(self) -> None:
        with suppress(Exception):
            if self._reporter is not None:
                self._reporter.before_fork()

    def after_fork(self) -> None:
        if self._reporter is not None:
            self._reporter.after_fork()


_default = _Default()
get = _default.get
atexit.register(_default.finish)
os.register_at_fork(before=_default.before_fork, after_in_child=_default.after_fork)


def configure(
    *,
    url: str | None = None,
    token: str | None = None,
    namespace: str | None = None,
    session: str | None = None,
    spool: str | os.PathLike[str] | None = None,
) -> None:
    """Set what the environment doesn't. An empty ``url`` turns telemetry off."""
    texts = {"token": token, "namespace": namespace, "session": session}
    changes: dict[str, Any] = {
        key: None if value is None else values.text(value) for key, value in texts.items()
    }
    try:
        changes["url"] = None if url is None else url.strip().rstrip("/")
        changes["spool"] = None if spool is None else os.path.abspath(os.fsdecode(spool))  # noqa: PTH100
        _default.configure(**{key: value for key, value in changes.items() if value is not None})
    except Exception as error:
        notes.once("configure", f"configure failed: {type(error).__name__}: {error}.")
