"""Sends the spool in threads that end as soon as it is sent.

No thread stays: a script may fork, and Python warns of a fork beside a thread.
"""

import _thread
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from . import notes, spool
from .options import Options
from .spool import Segment, Spool
from .verdicts import Answer, Then

#: Seconds that events wait for others, so that a batch has more than one.
LINGER = 1.0
_TIMEOUT = 5.0
#: Bytes. What takes longer than the timeout would stop all that comes after it.
_MAX_BATCH = 2 << 20
_SHORTEST_WAIT, _FIRST_WAIT, _LONGEST_WAIT = 0.5, 1.0, 60.0


class Sender:
    """Sends what this process and those before it have left in ``spools``.

    ``memory`` has the events that the disk didn't take.
    """

    def __init__(self, options: Options, spools: list[Spool], memory: deque[bytes]) -> None:
        self._options, self._spools, self._memory = options, spools, memory
        self.reset()

    def reset(self) -> None:
        """Begin again, in the child of a fork."""
        # The main thread may come back to it in a signal handler.
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._is_busy = False
        self._hurry, self._skip = threading.Event(), threading.Event()
        self._resume_at = 0.0
        self._wait = _FIRST_WAIT
        self.is_done = True
        self._is_held = False

    def hold(self) -> None:
        """Start no more threads."""
        self._is_held = True

    def poke(self) -> None:
        """Send soon what is there; return at once."""
        with self._lock:
            self.is_done = False
            is_early = time.monotonic() < self._resume_at
            if self._is_busy or self._is_held or is_early or not self._options.sends:
                return
            if self._options.url:
                # Inside of the lock: two threads would start two.
                self._start()
                return
        if self._options.url is None:
            notes.once(
                "url",
                "ORBIT_URL isn't set, so events are only kept on disk. "
                "An empty ORBIT_URL turns telemetry off.",
            )

    def finish(self, seconds: float) -> bool:
        """Send what is left, for ``seconds`` at most. Return whether Orbit has it all."""
        if self._options.is_off:
            return True
        ends = time.monotonic() + seconds
        self._hurry.set()
        while (self._is_busy or not self.is_done) and time.monotonic() < ends:
            if not self._is_busy:
                self.poke()
            if not self._is_busy or self._thread is None:
                break  # there is no Orbit, or it asked for time
            self._thread.join(max(0.0, ends - time.monotonic()))
        self._hurry.clear()
        return self.is_done and not self._is_busy

    def finish_in_handler(self, seconds: float) -> None:
        """Send what is left, in a signal handler: the lock that it would wait for may be ours."""
        if not self._options.url or not self._options.sends or time.monotonic() < self._resume_at:
            return
        ends = time.monotonic() + seconds
        ended: list[bool] = []
        with _signals_blocked():
            _thread.start_new_thread(self._run_once, (ended,))
        while not ended and time.monotonic() < ends:
            time.sleep(0.01)

    def stop_for_fork(self) -> None:
        """End the thread if it only waits; what it would have sent stays on disk."""
        if self._is_busy and self._thread is not None:
            self._skip.set()
            self._hurry.set()
            self._thread.join(0.2)
            self._skip.clear()
            self._hurry.clear()

    def _start(self) -> None:
        # A thread that is left behind at the end of Python holds nothing but a socket and a lock.
        thread = threading.Thread(target=self._run, name="orbit-telemetry", daemon=True)
        self._is_busy = True
        try:
            with _signals_blocked():
                thread.start()
            # Not before: others would wait for a thread that hasn't begun.
            self._thread = thread
        except RuntimeError:  # no more threads, or Python ends: the disk has the events
            self._is_busy = False

    def _run(self) -> None:
        try:
            while True:
                self._hurry.wait(LINGER)
                if self._skip.is_set() or not self._send_all():
                    break
                with self._lock:
                    if self.is_done:
                        self._is_busy = False
                        break
        except Exception as error:  # a script must not see it
            self._rest(Answer.keep(f"events can't be sent: {type(error).__name__}: {error}."))
        finally:
            self._is_busy = False

    def _run_once(self, ended: list[bool]) -> None:
        with suppress(Exception):
            self._send_all()
        ended.append(True)

    def _send_all(self) -> bool:
        self.is_done = True
        for part in self._spools:
            part.rotate()
        while self._memory:
            lines = list(self._memory)
            if not self._send(self._spools[0], lines):
                return False
            for _ in lines:
                self._memory.popleft()
        for part, segments in spool.read(self._spools):
            lines = [line for segment in segments for line in segment.lines()]
            try:
                is_sent = not lines or self._send(part, lines)
            except BaseException:
                _close(segments)
                raise
            if not is_sent:
                _close(segments)
                return False
            for segment in segments:
                segment.remove()
        return True

    def _send(self, part: Spool, lines: list[bytes]) -> bool:
        """Send ``lines``; return False if they have to be kept."""
        if len(lines) > 1 and sum(map(len, lines)) > _MAX_BATCH:
            return self._send_halves(part, lines)
        # Importing it takes as long as many a script runs.
        from .transport import post  # noqa: PLC0415

        answer = post(self._options.url or "", self._options.token, lines, timeout=_TIMEOUT)
        if answer.then is Then.KEEP:
            self._rest(answer)
            return False
        self._wait = _FIRST_WAIT
        if answer.then is Then.SPLIT and len(lines) > 1:
            return self._send_halves(part, lines)
        if answer.then is Then.SPLIT:
            self._set_aside(part, lines, [(0, "unreadable", answer.sentence)])
        elif answer.rejected:
            self._set_aside(part, lines, answer.rejected)
        return True

    def _send_halves(self, part: Spool, lines: list[bytes]) -> bool:
        middle = len(lines) // 2
        return self._send(part, lines[:middle]) and self._send(part, lines[middle:])

    def _set_aside(
        self, part: Spool, lines: list[bytes], rejected: list[tuple[int, str, str]]
    ) -> None:
        kept = part.set_aside(lines[i] for i, _, _ in rejected if 0 <= i < len(lines))
        _, code, detail = rejected[0]
        place = f" They are in {kept}." if kept else ""
        notes.once(
            f"rejected {code}", f"Orbit rejects {len(rejected)} events: {code}: {detail}{place}"
        )

    def _rest(self, answer: Answer) -> None:
        wait = self._wait if answer.wait is None else answer.wait
        self._wait = min(self._wait * 2, _LONGEST_WAIT)
        self._resume_at = time.monotonic() + max(wait, _SHORTEST_WAIT)
        self.is_done = False
        notes.once("away", f"{answer.sentence} Events are kept and sent later.")


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Let a thread begin that takes no signal.

    Those of the script are its own, also if it waits for them with sigwait. SIGPIPE would end it,
    if it has Python's handler taken away.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _close(segments: list[Segment]) -> None:
    for segment in segments:
        segment.close()
