"""What ``up --demo`` adds: receiver, endpoint, password, first cycle."""

import json
import re
import secrets
import socket
from pathlib import Path

from governance.kernel import files

RUN_PROFILE = "aurora-daily-eu"


def _read_or_create(path: Path, content: str) -> str:
    """Return the content of ``path``; write ``content`` if it is missing."""
    if path.exists() and not path.stat().st_size:
        path.unlink()  # an older release left it empty when it was killed
    files.create_whole(path, content)
    return path.read_text(encoding="utf-8").strip()


def admin_password(var: Path) -> str:
    """Return the administrator's password; the first call generates it."""
    return _read_or_create(var / "admin-password", secrets.token_urlsafe(12))


def receiver_port(var: Path) -> int:
    """Return a free port, the last run's if possible."""
    # Undelivered jobs point at the port of the last run.
    path = var / "aurora-port"
    last = path.read_text(errors="replace").strip() if path.exists() else ""
    candidates = [int(last)] if re.fullmatch("[0-9]{1,5}", last) and 0 < int(last) < 65536 else []
    for candidate in [*candidates, 0]:
        try:
            with socket.create_server(("127.0.0.1", candidate)) as listener:
                port: int = listener.getsockname()[1]
        except OSError:
            continue
        with files.open_private(path) as file:
            file.write(str(port))
        return port
    raise OSError("no port is free on 127.0.0.1")


def endpoint_variables(var: Path, port: int, allowed_hosts: list[str]) -> dict[str, str]:
    """Return the variables that make the receiver on ``port`` the endpoint."""
    endpoint = {
        "key": "default-endpoint",
        "url": f"http://127.0.0.1:{port}/deliveries",
        "method": "POST",
        "token": _read_or_create(var / "aurora-token", secrets.token_urlsafe(32)),
    }
    return {
        "ORBIT_DISPATCH_ENDPOINTS": json.dumps([endpoint]),
        "ORBIT_DISPATCH_ALLOWED_HOSTS": ",".join([*allowed_hosts, "127.0.0.1"]),
    }


def trigger_command(config: Path) -> list[str]:
    """Return the command for a first cycle."""
    try:
        configured = f'"{RUN_PROFILE}"' in (config / "runProfiles.json").read_text()
    except (OSError, UnicodeError):
        configured = False
    return ["trigger", *(["--run-profile", RUN_PROFILE] if configured else []), "--wait"]
