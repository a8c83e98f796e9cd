"""What is known of a file that a task left behind."""

import hashlib
import mimetypes
import os
import stat
from dataclasses import dataclass

#: Files over it are recorded without a hash.
LARGEST_HASHED = 50 << 20
_PIECE = 1 << 20


@dataclass(frozen=True)
class Facts:
    """Size in bytes; SHA-256 in hex, None if the file is too large."""

    size: int
    sha256: str | None
    media_type: str | None


def facts(path: str | bytes | os.PathLike[str]) -> Facts:
    """Read the file ``path``. Raises OSError, also if it is no file."""
    # A pipe without a writer would wait for ever.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(number, "rb") as file:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is no regular file")
        media_type = mimetypes.guess_type(os.fsdecode(path))[0]
        if status.st_size > LARGEST_HASHED:
            return Facts(status.st_size, None, media_type)
        digest, size = hashlib.sha256(), 0
        # A file that grows meanwhile has no end.
        while size <= LARGEST_HASHED and (piece := file.read(_PIECE)):
            digest.update(piece)
            size += len(piece)
    if size > LARGEST_HASHED:
        return Facts(size, None, media_type)
    return Facts(size, digest.hexdigest(), media_type)
