"""Looks at processes that may end, or be replaced, between two looks."""

import os
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from orbit_site.processes import postgres
from orbit_site.processes.postgres import Server
from tests.support.polling import until


def lives(process: psutil.Process) -> bool:
    """Tell whether ``process`` runs. A zombie has ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def children(pid: int, *, recursive: bool = False) -> list[psutil.Process]:
    """Return the live children of ``pid``; none if it has ended."""
    try:
        listed = psutil.Process(pid).children(recursive=recursive)
    except psutil.NoSuchProcess:
        return []
    return [child for child in listed if lives(child)]


def family(pid: int) -> list[psutil.Process]:
    """Return ``pid`` and its live descendants; none if it has ended."""
    try:
        return [psutil.Process(pid), *children(pid, recursive=True)]
    except psutil.NoSuchProcess:
        return []


def words(process: psutil.Process) -> str:
    """Return its command line, and its name; nothing if it has ended."""
    try:
        return " ".join([*process.cmdline(), process.name()])
    except psutil.NoSuchProcess:
        return ""


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal. A process that has ended is no error."""
    assert pid > 1
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_group(leader: int, number: int) -> None:
    """Send a signal to a whole process group. One that has ended is no error."""
    assert leader > 1
    with suppress(ProcessLookupError):
        os.killpg(leader, number)


def suspend(pid: int) -> None:
    """Send SIGSTOP, and wait until no thread of ``pid`` runs any more.

    The signal stops one thread, and that one the others: on a busy machine they run on for so long
    that they may write what the test wants to keep from them.
    """
    kill(pid, signal.SIGSTOP)
    until(partial(_is_still, pid), f"the process {pid} doesn't stop", every=0.001)


def suspend_group(leader: int) -> None:
    """Suspend a process and its live descendants, which are its group."""
    members = family(leader)
    kill_group(leader, signal.SIGSTOP)
    for member in members:
        until(partial(_is_still, member.pid), f"{member} doesn't stop", every=0.001)


def _is_still(pid: int) -> bool:
    """Tell whether each thread of ``pid`` is stopped, or has ended."""
    try:
        states = [
            stat.read_text().rpartition(")")[2].split()[0]
            for stat in Path(f"/proc/{pid}/task").glob("*/stat")
        ]
    except (FileNotFoundError, ProcessLookupError):
        return False  # a thread ended meanwhile: look again
    return set(states) <= set("TtZX")


def postmaster(server: Server) -> psutil.Process:
    """Return the process of ``server``. Its pid file may be half written while it starts."""
    return until(lambda: postgres.running(server), "the server doesn't run")
