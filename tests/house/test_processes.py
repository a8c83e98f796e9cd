"""The looks at processes that tests share bear a process that has ended."""

import os
import select
import signal
import socket
import subprocess
import sys

import psutil

from tests.support import processes
from tests.support.polling import until

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
#: Sends back what it gets, in a second thread.
ECHO = """
import socket, sys, threading, time
end = socket.socket(fileno=int(sys.argv[1]))
def echo():
    while data := end.recv(1):
        end.sendall(data)
threading.Thread(target=echo, daemon=True).start()
time.sleep(600)
"""
PARENT = f"import subprocess; subprocess.run({SLEEP!r})"


def test_a_process_with_a_child_is_seen_until_both_have_ended() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT])
    top = psutil.Process(parent.pid)
    try:
        [child] = until(lambda: processes.children(parent.pid), "there is no child")
        assert processes.family(parent.pid) == [top, child]
        until(lambda: "time.sleep(600)" in processes.words(child), "it runs something else")
        processes.kill(child.pid)
        until(lambda: not processes.lives(child), "the child lives on")
    finally:
        processes.kill(parent.pid)
    until(lambda: not processes.lives(top), "the parent lives on")
    # It is a zombie until this process waits for it.
    assert (processes.words(top), processes.children(parent.pid)) == ("", [])
    parent.wait()


def test_a_process_that_is_gone_has_no_children_and_takes_every_signal() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    process = psutil.Process(gone.pid)
    gone.wait()
    assert not processes.lives(process)
    assert processes.words(process) == ""
    assert (processes.children(gone.pid), processes.family(gone.pid)) == ([], [])
    processes.kill(gone.pid)
    processes.kill_group(gone.pid, signal.SIGTERM)


def test_no_thread_of_a_suspended_process_goes_on() -> None:
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-c", ECHO, str(theirs.fileno())]
    with ours, theirs, subprocess.Popen(command, pass_fds=[theirs.fileno()]) as echo:
        try:
            for _ in range(20):
                ours.sendall(b".")
                assert ours.recv(1) == b"."
                processes.suspend(echo.pid)
                ours.sendall(b".")
                assert not select.select([ours], [], [], 0.02)[0]
                os.kill(echo.pid, signal.SIGCONT)
                assert ours.recv(1) == b"."
        finally:
            processes.kill(echo.pid)
