"""A child that doesn't outlive its parent: asked of the kernel, so that it holds for a parent that was killed."""

import ctypes
import os
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1
# Loaded here and not in the child: between fork and exec nothing may be allocated that a lock could guard.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Have the kernel send ``number`` to this process when the thread that forked it ends; call it first thing in the child.

    ``parent`` is the forker's process id, taken before the fork: a parent that is gone by now would never be noticed. Elsewhere than on
    Linux this does nothing.
    """
    if _libc is None:
        return
    _libc.prctl(_SET_PARENT_DEATH_SIGNAL, int(number))
    if os.getppid() != parent:
        os._exit(1)
