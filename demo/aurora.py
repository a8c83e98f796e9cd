"""Aurora, a demo receiver with a page: ``python aurora.py VAR PORT``.

It needs only the standard library. It honours idempotency keys across restarts, and ``PUT
/behaviour`` makes it slow or makes it refuse.
"""

import base64
import hashlib
import hmac
import html
import json
import os
import sys
import threading
from collections import OrderedDict
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KEPT_DELIVERIES = 200
MAX_BODY_BYTES = 16 * 1024 * 1024
SHOWN_BYTES = 4096
MAX_DELAY_SECONDS = 60
CONTEXT_HEADERS = (
    "X-Orbit-Namespace",
    "X-Orbit-Profile",
    "X-Orbit-Run-Profile",
    "X-Orbit-Cycle",
    "X-Orbit-Attempt",
)
COLUMNS = (
    "received",
    "namespace",
    "profile",
    "run profile",
    "cycle",
    "bytes",
    "repeats",
    "idempotency key",
    "payload",
)
STYLE = (
    "body{font:16px/1.5 system-ui;margin:2rem}table{border-collapse:collapse}pre{margin:0}"
    "th,td{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #ccc}"
)
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)


class Deliveries:
    """The last deliveries by idempotency key, in memory and in ``path``."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._by_key: OrderedDict[str, dict[str, Any]] = OrderedDict()
        if path.exists():
            for line in path.read_text().splitlines():
                self._remember(json.loads(line))
        self._file = path.open("w")
        self._lines = 0
        self._compact()

    def add(self, key: str, headers: dict[str, str], body: bytes) -> bool:
        """Keep a delivery and return True; count a repeat and return False."""
        with self._lock:
            delivery = self._by_key.get(key)
            is_new = delivery is None
            if delivery is None:
                delivery = {
                    "key": key,
                    "received_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                    "repeats": 0,
                    "headers": headers,
                    "size": len(body),
                    "sha256": hashlib.sha256(body).hexdigest(),
                    "body_base64": base64.b64encode(body[:SHOWN_BYTES]).decode(),
                }
            else:
                delivery["repeats"] += 1
            self._remember(delivery)
            self._file.write(json.dumps(delivery) + "\n")
            self._file.flush()
            self._lines += 1
            if self._lines > 5 * KEPT_DELIVERIES:
                self._compact()
            return is_new

    def newest_first(self) -> list[dict[str, Any]]:
        """Return copies of the deliveries."""
        with self._lock:
            return [dict(delivery) for delivery in reversed(self._by_key.values())]

    def _remember(self, delivery: dict[str, Any]) -> None:
        self._by_key[delivery["key"]] = delivery
        while len(self._by_key) > KEPT_DELIVERIES:
            self._by_key.popitem(last=False)

    def _compact(self) -> None:
        # A crash leaves the old file or the new one, never half a file.
        draft = self._path.with_suffix(".new")
        self._file.close()
        self._file = draft.open("w")
        self._file.writelines(json.dumps(delivery) + "\n" for delivery in self._by_key.values())
        self._file.flush()
        draft.replace(self._path)
        self._lines = len(self._by_key)


class Behaviour:
    """How to answer: ``{"delay": seconds, "status": code, "times": count}``, all optional."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._current: dict[str, Any] = {}
        self._version = 0

    def change(self, wish: Any) -> str:
        """Use ``wish`` from now on, ``{}`` for the default; return the problem or ""."""
        if error := _behaviour_error(wish):
            return error
        with self._changed:
            # Delayed answers go out at once.
            self._current, self._version = wish, self._version + 1
            self._changed.notify_all()
        return ""

    def current(self) -> dict[str, Any]:
        """Return the present behaviour."""
        with self._changed:
            return dict(self._current)

    def next(self) -> tuple[dict[str, Any], int]:
        """Count a delivery; return its behaviour and that one's version."""
        with self._changed:
            behaviour = dict(self._current)
            if "times" in behaviour:
                times = behaviour["times"] - 1
                self._current = {**behaviour, "times": times} if times else {}
            return behaviour, self._version

    def wait(self, seconds: float, version: int) -> None:
        """Wait for ``seconds``, or for a newer behaviour than ``version``."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, seconds)


def _behaviour_error(wish: Any) -> str:
    if not isinstance(wish, dict):
        return "a JSON object is needed"
    if unknown := set(wish) - {"delay", "status", "times"}:
        return f"{', '.join(sorted(unknown))}: only delay, status and times are known"
    for name, low, high in (
        ("delay", 0, MAX_DELAY_SECONDS),
        ("status", 400, 599),
        ("times", 1, 1_000_000),
    ):
        value = wish.get(name, low)
        kind, words = (int | float, "a number") if name == "delay" else (int, "a whole number")
        if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
            return f"{name} is {words} from {low} to {high}"
    return ""


class Handler(BaseHTTPRequestHandler):
    """Takes POST /deliveries and PUT /behaviour, shows GET / and GET /deliveries."""

    protocol_version = "HTTP/1.1"
    server_version = "Aurora"
    sys_version = ""
    timeout = 60

    def __init__(
        self, deliveries: Deliveries, behaviour: Behaviour, token: str, *args: Any
    ) -> None:
        self._deliveries, self._behaviour, self._token = deliveries, behaviour, token
        super().__init__(*args)

    def do_GET(self) -> None:
        """Show the deliveries."""
        # DNS rebinding: a foreign page whose name points to this machine must not read them.
        if self.headers.get("Host", "").rsplit(":", 1)[0] not in {"127.0.0.1", "localhost"}:
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, {"error": "use 127.0.0.1"})
        elif self.path == "/deliveries":
            self._answer(HTTPStatus.OK, {"results": self._deliveries.newest_first()})
        elif self.path == "/style.css":
            self._send(HTTPStatus.OK, "text/css", STYLE.encode())
        elif self.path == "/":
            self._send(
                HTTPStatus.OK,
                "text/html; charset=utf-8",
                page(self._deliveries.newest_first(), self._behaviour.current()).encode(),
            )
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "only / and /deliveries exist"})

    def do_POST(self) -> None:
        """Take a delivery."""
        if (body := self._body("/deliveries")) is None:
            return
        if not (key := self.headers.get("Idempotency-Key", "")):
            self._answer(HTTPStatus.BAD_REQUEST, {"error": "Idempotency-Key is missing"})
            return
        behaviour, version = self._behaviour.next()
        headers = {
            name: self.headers[name]
            for name in (*CONTEXT_HEADERS, "Content-Type")
            if name in self.headers
        }
        repeat = "status" not in behaviour and not self._deliveries.add(key, headers, body)
        self._behaviour.wait(behaviour.get("delay", 0), version)
        if "status" in behaviour:
            self._answer(behaviour["status"], {"error": "refused, as PUT /behaviour asked"})
        else:
            self._answer(HTTPStatus.OK, {"received": True, "repeat": repeat})

    def do_PUT(self) -> None:
        """Change the behaviour."""
        if (body := self._body("/behaviour")) is None:
            return
        try:
            error = self._behaviour.change(json.loads(body))
        except ValueError:
            error = "the body is not JSON"
        if error:
            self._answer(HTTPStatus.UNPROCESSABLE_ENTITY, {"error": error})
        else:
            self._answer(HTTPStatus.OK, self._behaviour.current())

    def _body(self, path: str) -> bytes | None:
        """Return the body, or answer a refusal and return None."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True  # the body is unread
            too_large = length.isdecimal()
            self._answer(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE if too_large else HTTPStatus.LENGTH_REQUIRED,
                {"error": "Content-Length"},
            )
            return None
        body = self.rfile.read(int(length))
        authorization = self.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(authorization, f"Bearer {self._token}".encode()):
            self._answer(HTTPStatus.UNAUTHORIZED, {"error": "wrong token"})
            return None
        if self.path != path:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "use POST /deliveries or PUT /behaviour"})
            return None
        return body

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the page shows the deliveries."""

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(document).encode())

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": content_type,
            "Content-Length": str(len(body)),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        }
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def page(deliveries: list[dict[str, Any]], behaviour: dict[str, Any]) -> str:
    """Return the HTML page of ``deliveries``."""
    head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    rows = "".join(_row(delivery) for delivery in deliveries)
    note = html.escape(f" Present behaviour: {json.dumps(behaviour)}") if behaviour else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Aurora (demo)</title>'
        '<link rel="stylesheet" href="/style.css"></head><body><main>'
        f"<h1>Aurora (demo): {len(deliveries)} deliveries</h1>"
        f"<p>The last {KEPT_DELIVERIES}, newest first. "
        f"A repeat has the same idempotency key again.{note}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></main></body></html>"
    )


def _row(delivery: dict[str, Any]) -> str:
    payload = base64.b64decode(delivery["body_base64"]).decode(errors="replace")
    cells = [
        delivery["received_at"],
        *(delivery["headers"].get(name, "") for name in CONTEXT_HEADERS[:4]),
        str(delivery["size"]),
        str(delivery["repeats"]),
        delivery["key"],
    ]
    columns = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
    return f"<tr>{columns}<td><pre>{html.escape(payload[:400])}</pre></td></tr>"


def main(var: Path, port: int) -> None:
    """Serve on 127.0.0.1:``port`` until killed."""
    os.umask(0o077)  # what it writes holds payloads
    deliveries = Deliveries(var / "aurora-deliveries.jsonl")
    token = (var / "aurora-token").read_text().strip()
    handler = partial(Handler, deliveries, Behaviour(), token)
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer(("127.0.0.1", port), handler).serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
