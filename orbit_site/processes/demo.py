"""What a first run is given so that there is something to see: a receiver, an endpoint that points at it, a password."""

import json
import os
import secrets
import socket
from pathlib import Path

RUN_PROFILE = "aurora-daily-eu"


def kept(path: Path, fresh: str) -> str:
    """Return what is in the file ``path``; where there is none, put ``fresh`` there for this user alone."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(fresh)
    except FileExistsError:
        return path.read_text().strip() or fresh
    return fresh


def password(var: Path) -> str:
    """Return the administrator's generated password."""
    return kept(var / "admin-password", secrets.token_urlsafe(12))


def receiver_port(var: Path) -> int:
    """Return a free port for the receiver: the one of last time where it is still free, since undelivered jobs point at it."""
    path = var / "aurora-port"
    before = path.read_text().strip() if path.exists() else ""
    for candidate in ([int(before)] if before.isdecimal() and 0 < int(before) < 65536 else []) + [
        0
    ]:
        try:
            with socket.create_server(("127.0.0.1", candidate)) as listener:
                port: int = listener.getsockname()[1]
        except OSError:
            continue
        path.write_text(str(port))
        return port
    raise OSError("no port is free on 127.0.0.1")


def endpoint(var: Path, port: int, allowed_hosts: list[str]) -> dict[str, str]:
    """Return the variables that send deliveries to the receiver on ``port``, whose token is made at the first call."""
    document = [
        {
            "key": "default-endpoint",
            "url": f"http://127.0.0.1:{port}/deliveries",
            "method": "POST",
            "token": kept(var / "aurora-token", secrets.token_urlsafe(32)),
        }
    ]
    return {
        "ORBIT_DISPATCH_ENDPOINTS": json.dumps(document),
        "ORBIT_DISPATCH_ALLOWED_HOSTS": ",".join([*allowed_hosts, "127.0.0.1"]),
    }


def first_trigger(config: Path) -> list[str]:
    """Return the command that runs a first cycle: of the demo's run profile where the configuration has it, else a plain one."""
    try:
        found = f'"{RUN_PROFILE}"' in (config / "runProfiles.json").read_text()
    except (OSError, UnicodeError):
        found = False
    return ["trigger", *(["--run-profile", RUN_PROFILE] if found else []), "--wait"]
