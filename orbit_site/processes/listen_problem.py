"""What to do if the web server can't listen. Without Django."""

import errno

_NOT_OURS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL}
_FIRST_FREE_FOR_ALL = 1024


def advice(error: OSError, address: str, port: int, *, other_port: str) -> str:
    """Return a sentence for the operator; ``other_port`` says how to choose one."""
    if error.errno in _NOT_OURS:
        return (
            f"{address} in ORBIT_BIND is no address of this machine. "
            "Write one that `ip address` lists, 127.0.0.1, or 0.0.0.0 for all."
        )
    if error.errno == errno.EACCES and port < _FIRST_FREE_FOR_ALL:
        return f"Only root may use a port below {_FIRST_FREE_FOR_ALL}: {other_port}."
    return f"Stop the program that uses it, or {other_port}."
