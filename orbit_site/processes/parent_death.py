"""Let the kernel kill a child whose parent ends. Linux only."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
# Load it here, not in the child: between fork and exec, an allocation could meet a held lock.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Send this process ``number`` when its parent thread ends.

    Call it first in the child. Take ``parent``, the parent's process id, before the fork.
    """
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, int(number))
    # The parent died before the call above, so no signal will come.
    if os.getppid() != parent:
        os._exit(1)
