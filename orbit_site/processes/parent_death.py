"""Let the kernel kill a child whose parent ends, even by SIGKILL. Linux only."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
# Load it here, not in the child: between fork and exec, an allocation could meet a held lock.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Send this process ``number`` when the thread that forked it ends. Call it first in the child.

    ``parent`` is the parent's process id, taken before the fork. If the parent is gone already, no
    signal would come, so the child exits. Does nothing on other systems than Linux.
    """
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, int(number))
    if os.getppid() != parent:
        os._exit(1)
