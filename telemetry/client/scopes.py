"""Tasks and commands: their start, and their end however they end."""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from contextvars import ContextVar, Token
from itertools import pairwise
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from . import event, notes, reporter, values

_INTERRUPTED = 130
_current: ContextVar["Scope | None"] = ContextVar("orbit_telemetry", default=None)
#: Of this process, in the order of their starts.
_open: list["Scope"] = []
os.register_at_fork(after_in_child=_open.clear)


class Scope:
    """What ``with task(...)`` and ``with command(...)`` return."""

    kind = ""

    def __init__(self, session: str | None, metadata: dict[str, Any]) -> None:
        self.session = None if session is None else values.name(session)
        self.task_id: str | None = None
        self.parent: Scope | None = None
        self._metadata = metadata
        self._outcome: dict[str, Any] = {}
        self._started = 0.0
        self._process = 0
        self._is_open = False
        self._token: Token[Scope | None] | None = None

    def fail(self, reason: object = None) -> None:
        """Let it end without success, whatever else happens."""
        self._outcome["success"] = False
        if reason is not None:
            self._outcome["reason"] = reason

    def __enter__(self) -> Self:
        try:
            self._enter()
        except Exception as error:
            notes.once("enter", f"{self.kind}_start failed: {type(error).__name__}: {error}.")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._leave(_outcome(error))
        except KeyboardInterrupt:
            # The second Ctrl-C came while the end was written.
            self._leave(_outcome(error))
            raise

    def end(self, outcome: dict[str, Any]) -> None:
        """Report the end, once. Never fails."""
        # A child of a fork ends what its parent began, too.
        if not self._is_open or self._process != os.getpid():
            return
        try:
            duration = (time.monotonic() - self._started) * 1000
            if place := outcome.pop("place", None):
                emit("error", self, level="error", metadata={"message": place})
            final = {"success": True, **outcome, **self._outcome}
            emit(
                f"{self.kind}_end",
                self,
                level="info" if final["success"] else "error",
                duration_ms=round(duration, 3),
                metadata=self._end_metadata() | final,
            )
        except Exception as error:
            notes.once("end", f"{self.kind}_end failed: {type(error).__name__}: {error}.")
        self._is_open = False
        with suppress(ValueError):
            _open.remove(self)

    def _end_metadata(self) -> dict[str, Any]:
        return {}

    def _enter(self) -> None:
        settings, parent = reporter.get().options, current()
        self.parent = parent
        if self.session is None:
            self.session = parent.session if parent else reporter.get().session
        if self.task_id is None:
            self.task_id = parent.task_id if parent else settings.task
        self._started, self._process = time.monotonic(), os.getpid()
        self._token = _current.set(self)
        _open.append(self)
        self._is_open = True
        _signals.watch()
        emit(f"{self.kind}_start", self, metadata=self._metadata)

    def _leave(self, outcome: dict[str, Any]) -> None:
        self.end(outcome)
        self.leave()

    def leave(self) -> None:
        """Make the scope around it the current one again."""
        if self._token is not None:
            with suppress(ValueError, RuntimeError):  # left in another context, or left already
                _current.reset(self._token)
        if not _open:
            _signals.release()


class Command(Scope):
    """The run of a program."""

    kind = "command"

    def __init__(self, name: object, session: str | None, metadata: dict[str, Any]) -> None:
        self.name = values.name(name)
        super().__init__(session, {"command": self.name, **metadata})

    def _end_metadata(self) -> dict[str, Any]:
        return {"command": self.name}


class Task(Scope):
    """A piece of work with an id. The projection shows its state.

    A script that names no command is one: coverage asks each session for the end of a command.
    """

    kind = "task"

    def __init__(self, name: object, session: str | None, metadata: dict[str, Any]) -> None:
        super().__init__(session, metadata)
        self.task_id = values.name(name)
        self._command: Command | None = None

    def _enter(self) -> None:
        around = current()
        if around is None or self.session not in {None, around.session}:
            self._command = Command(Path(sys.argv[0]).name or "python", self.session, {})
            self._command.__enter__()
        super()._enter()

    def end(self, outcome: dict[str, Any]) -> None:
        """Report the end, and that of the command that began with it."""
        super().end(dict(outcome))
        if self._command is not None:
            self._command.end({**outcome, **self._outcome, "place": None})

    def _leave(self, outcome: dict[str, Any]) -> None:
        super()._leave(outcome)
        if self._command is not None:
            self._command.leave()


def current() -> Scope | None:
    """Return the innermost scope of this context.

    A thread doesn't inherit the context of the one that started it. It belongs to the scope that is
    open, if there is no doubt about it: all that are open are inside of each other.
    """
    own = _current.get()
    if own is not None or not _open:
        return own
    is_chain = all(inner.parent is outer for outer, inner in pairwise(_open))
    return _open[-1] if is_chain else None


def emit(
    name: str,
    scope: Scope | None = None,
    *,
    stage: object = None,
    level: str = "info",
    duration_ms: float | None = None,
    metadata: dict[str, Any],
) -> None:
    """Report an event of ``scope``, or of the current one. Never fails."""
    try:
        target = reporter.get()
        scope = scope or current()
        target.emit(
            event.build(
                name,
                session=scope.session if scope else values.name(target.session),
                task=scope.task_id if scope else target.options.task,
                namespace=target.options.namespace,
                stage=stage,
                level=level,
                duration_ms=duration_ms,
                metadata=metadata,
            )
        )
    except Exception as error:
        notes.once("emit", f"an event is lost: {type(error).__name__}: {error}.")


def _outcome(error: BaseException | None) -> dict[str, Any]:
    """Return what an end event says of ``error``: its type and place, not its text.

    A text may hold a secret, such as a URL with a password.
    """
    if error is None:
        return {}
    if isinstance(error, SystemExit):
        code = error.code
        number = code if isinstance(code, int) else int(code is not None)
        return {"success": number == 0, "exit_code": number}
    kind = type(error).__name__
    if isinstance(error, KeyboardInterrupt):
        return {"success": False, "exit_code": _INTERRUPTED, "exception": kind}
    trace, place = error.__traceback__, ""
    while trace is not None:
        place = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return {"success": False, "exception": kind, "place": f"{kind}{place}"}


class _Signals:
    """Reports the end of open scopes if SIGTERM or SIGHUP ends the process.

    It then dies of the signal, as it would have. A script's own handler is left alone.
    """

    _NUMBERS = (signal.SIGTERM, signal.SIGHUP)

    def watch(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in self._NUMBERS:
                if signal.getsignal(number) is signal.SIG_DFL:
                    with suppress(ValueError):  # not the main interpreter
                        signal.signal(number, self._end)

    def release(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in self._NUMBERS:
                if signal.getsignal(number) == self._end:
                    signal.signal(number, signal.SIG_DFL)

    def _end(self, number: int, frame: FrameType | None) -> None:
        with suppress(Exception):
            reporter.get().sender.hold()
            for scope in reversed(_open[:]):
                scope.end({"success": False, "signal": signal.Signals(number).name})
            reporter.get().sender.finish_in_handler(reporter.EXIT_SECONDS)
        # Python's buffers are lost, as without us.
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


_signals = _Signals()
