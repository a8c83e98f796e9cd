"""Runs a program as if we weren't there: its files, its terminal, its signals, its exit code.

Linux only: whether a signal comes from the terminal is known from ``sigwaitinfo``.
"""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

NOT_EXECUTABLE, NOT_FOUND = 126, 127
_FORWARDED = {
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
}
#: Python ignores these, and a child would inherit that.
_IGNORED_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}


@dataclass(frozen=True)
class Ended:
    """How a program ended. ``code`` is what a shell would return."""

    code: int
    signal: str | None = None
    problem: str | None = None


@contextmanager
def signals_blocked() -> Iterator[set[signal.Signals]]:
    """Keep the signals that are for the program; yield the mask that it is to have."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_FORWARDED, signal.SIGCHLD})
    try:
        yield {signal.Signals(number) for number in before}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run(
    argv: list[str], environ: Mapping[str, str], mask: Iterable[int], tick: Callable[[], object]
) -> Ended:
    """Run ``argv`` to its end, inside of ``signals_blocked``. Calls ``tick`` now and then."""
    try:
        child = os.posix_spawnp(
            argv[0], argv, environ, setsigmask=mask, setsigdef=_IGNORED_BY_PYTHON
        )
    except (FileNotFoundError, NotADirectoryError):
        return Ended(NOT_FOUND, problem="there is no such program")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Ended(NOT_EXECUTABLE, problem=f"it can't be run: {reason}")
    while True:
        arrived = signal.sigtimedwait({*_FORWARDED, signal.SIGCHLD}, 1.0)
        if arrived is None:
            tick()
        elif arrived.si_signo != signal.SIGCHLD:
            _forward(child, arrived)
        with suppress(ChildProcessError):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid == child:
                return _ended(status)


def _forward(child: int, arrived: signal.struct_siginfo) -> None:
    # A positive code is the kernel's: Ctrl-C on the terminal, which the program got itself.
    if arrived.si_code <= 0:
        with suppress(ProcessLookupError):
            os.kill(child, arrived.si_signo)


def _ended(status: int) -> Ended:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with suppress(ValueError):
            return Ended(128 + number, signal=signal.Signals(number).name)
        return Ended(128 + number, signal=str(number))
    return Ended(os.WEXITSTATUS(status))
