"""Find transactions that work between their statements: their locks, and a server's patience.

The server ends a transaction that idles for a third of a lease. What counts here is the CPU time of
the thread, so that a busy machine fails no test, and calls that have no place in a transaction.
"""

import contextlib
import gc
import json
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from django.contrib.auth import hashers
from django.db import connections, transaction
from django.db.backends import utils

from governance.kernel import canonical

MOST_SECONDS = 0.2
#: JSON of this size is a document, not a row.
DOCUMENT_BYTES = 128 * 1024
# A backup and a restore hold one transaction while a program works; its time-out is off. Django
# works on its models between the statements of a migration.
_HOLD_THEIR_TRANSACTION = ("/orbit_site/backup/", "/orbit_site/management/commands/migrate.py")
_TESTS = str(Path(__file__).resolve().parents[1])
# Frames that only pass a call on.
_PASSING_ON = ("/site-packages/", "/contextlib.py", "/governance/audit/__init__.py", __file__)


@dataclass
class Watch:
    """What was seen, and when each thread's transaction had its last statement."""

    findings: list[str] = field(default_factory=list)
    local: threading.local = field(default_factory=threading.local)

    def open_blocks(self, using: str | None = None) -> int:
        """Return how many blocks of the application are open, without those of a test."""
        blocks = connections[using or "default"].atomic_blocks
        return sum(not (block._from_testcase or hasattr(block, "of_a_test")) for block in blocks)

    def mark(self) -> None:
        """Remember the thread's CPU time: a statement has ended."""
        self.local.since, self.local.collecting = time.thread_time(), 0.0

    def collected(self, phase: str, info: object) -> None:
        """Leave out the garbage collector: it is slow in a test process, and strikes anywhere."""
        if phase == "start":
            self.local.began = time.thread_time()
        elif hasattr(self.local, "began") and hasattr(self.local, "collecting"):
            self.local.collecting += time.thread_time() - self.local.began

    def check(self, what: str) -> None:
        """Look how much the thread has worked since the last statement."""
        since = getattr(self.local, "since", None)
        if since is None:
            return
        spent = time.thread_time() - since - self.local.collecting
        if spent > MOST_SECONDS:
            self.report(f"{spent:.2f} s of CPU before {what[:120]!r}")

    def forbid(self, what: str) -> None:
        """Report ``what`` if a transaction is open; a test may wait in one."""
        if self.open_blocks() and not _caller().startswith(_TESTS):
            self.report(what)

    def report(self, what: str) -> None:
        """Keep a finding with the place in our code."""
        stack = [f for f in traceback.extract_stack() if _is_ours(f.filename)]
        if any(place in frame.filename for frame in stack for place in _HOLD_THEIR_TRANSACTION):
            return
        ours = [f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in stack]
        self.findings.append(f"in an open transaction: {what} at {' < '.join(ours[-1:-6:-1])}")


@contextlib.contextmanager
def watched() -> Iterator[Watch]:
    """Watch the transactions of all threads of this process."""
    watch = Watch()
    with contextlib.ExitStack() as stack:
        gc.callbacks.append(watch.collected)
        stack.callback(gc.callbacks.remove, watch.collected)

        def patch(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
            original = getattr(owner, name)
            setattr(owner, name, make(original))
            stack.callback(setattr, owner, name, original)

        patch(transaction.Atomic, "__enter__", lambda original: _entering(watch, original))
        patch(transaction.Atomic, "__exit__", lambda original: _leaving(watch, original))
        for name in ("_execute", "_executemany"):
            patch(utils.CursorWrapper, name, lambda original: _executing(watch, original))
        patch(time, "sleep", lambda original: _forbidden(watch, original, "time.sleep"))
        patch(
            requests.Session, "request", lambda original: _forbidden(watch, original, "a request")
        )
        for name in ("make_password", "verify_password"):
            patch(hashers, name, lambda original: _forbidden(watch, original, "password hashing"))
        for owner, name in ((canonical, "canonical_json"), (json, "dumps"), (json, "loads")):
            patch(owner, name, lambda original: _sized(watch, original))
        yield watch


def _is_ours(file: str) -> bool:
    return not any(part in file for part in _PASSING_ON)


def _caller() -> str:
    """Return the file of the nearest frame that doesn't only pass a call on."""
    frame = sys._getframe(1)
    while not _is_ours(frame.f_code.co_filename) and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_filename


def _entering(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    def enter(self: transaction.Atomic) -> Any:
        result = original(self)
        if _caller().startswith(_TESTS):
            self.of_a_test = True  # type: ignore[attr-defined]
        if watch.open_blocks(self.using) == 1:
            watch.mark()
        return result

    return enter


def _leaving(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    def leave(self: transaction.Atomic, *error: Any) -> Any:
        if error[0] is None and watch.open_blocks(self.using) == 1:
            watch.check("COMMIT")
        return original(self, *error)

    return leave


def _executing(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    def execute(self: Any, statement: Any, *args: Any) -> Any:
        if not self.db.in_atomic_block or not watch.open_blocks(self.db.alias):
            return original(self, statement, *args)
        watch.check(str(statement))
        try:
            return original(self, statement, *args)
        finally:
            watch.check(f"the end of {str(statement)[:80]}")
            watch.mark()

    return execute


def _forbidden(watch: Watch, original: Callable[..., Any], what: str) -> Callable[..., Any]:
    def call(*args: Any, **named: Any) -> Any:
        watch.forbid(what)
        return original(*args, **named)

    return call


def _sized(watch: Watch, original: Callable[..., Any]) -> Callable[..., Any]:
    def call(value: Any, *args: Any, **named: Any) -> Any:
        result = original(value, *args, **named)
        size = max(len(x) for x in (value, result) if isinstance(x, str | bytes))
        if size > DOCUMENT_BYTES:
            watch.forbid(f"{original.__name__} of {size} bytes")
        return result

    return call
