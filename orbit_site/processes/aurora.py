"""The demo Aurora: a real receiver of deliveries on this machine, which shows what it got.

A program of its own (``python aurora.py VAR PORT``) on the standard library. It checks the bearer token, honours
the idempotency key (a repeat is answered as the first one was, and counted), and keeps the last deliveries in a file, so that a restart
forgets no key. To see what Orbit makes of a receiver that is slow or refuses, tell it to be one: ``PUT /behaviour``.
"""

import base64
import hashlib
import hmac
import html
import json
import sys
import threading
from collections import OrderedDict
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KEEP = 200
LONGEST_BODY = 16 * 1024 * 1024
SHOWN_BYTES = 4096
LONGEST_DELAY = 60
CONTEXT = (
    "X-Orbit-Namespace",
    "X-Orbit-Profile",
    "X-Orbit-Run-Profile",
    "X-Orbit-Cycle",
    "X-Orbit-Attempt",
)
STYLE = (
    "body{font:16px/1.5 system-ui;margin:2rem}table{border-collapse:collapse}pre{margin:0}"
    "th,td{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #ccc}"
)


class Deliveries:
    """The last deliveries by their key, in memory and in ``path``; safe for threads."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._kept: OrderedDict[str, dict[str, Any]] = OrderedDict()
        if path.exists():
            for line in path.read_text().splitlines():
                self._remember(json.loads(line))
        self._file = path.open("w")
        self._lines = 0
        self._rewrite()

    def add(self, key: str, headers: dict[str, str], body: bytes) -> bool:
        """Keep a delivery; False when its key was there already, which is then counted as a repeat."""
        with self._lock:
            found = self._kept.get(key)
            delivery = found or {
                "key": key,
                "received_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "repeats": 0,
                "headers": headers,
                "size": len(body),
                "sha256": hashlib.sha256(body).hexdigest(),
                "body_base64": base64.b64encode(body[:SHOWN_BYTES]).decode(),
            }
            if found:
                delivery["repeats"] += 1
            self._remember(delivery)
            self._file.write(json.dumps(delivery) + "\n")
            self._file.flush()
            self._lines += 1
            if self._lines > 5 * KEEP:
                self._rewrite()
            return not found

    def newest_first(self) -> list[dict[str, Any]]:
        """Return a copy of what is kept."""
        with self._lock:
            return [dict(delivery) for delivery in reversed(self._kept.values())]

    def _remember(self, delivery: dict[str, Any]) -> None:
        self._kept[delivery["key"]] = delivery
        while len(self._kept) > KEEP:
            self._kept.popitem(last=False)

    def _rewrite(self) -> None:
        draft = self._path.with_suffix(".new")
        self._file.close()
        self._file = draft.open("w")
        self._file.writelines(json.dumps(delivery) + "\n" for delivery in self._kept.values())
        self._file.flush()
        draft.replace(self._path)
        self._lines = len(self._kept)


class Behaviour:
    """How deliveries are answered: ``delay`` seconds late, or refused with ``status``; the next ``times`` of them, or all. A restart forgets it."""

    def __init__(self) -> None:
        self._changed, self._told, self._turn = threading.Condition(), dict[str, Any](), 0

    def change(self, told: Any) -> str:
        """Take ``told`` from now on, ``{}`` being as usual; whoever waits is answered now. Return what is wrong with it, empty for nothing."""
        if not isinstance(told, dict) or (unknown := set(told) - {"delay", "status", "times"}):
            return (
                f"{', '.join(sorted(unknown))}: only delay, status and times are known"
                if isinstance(told, dict)
                else "a JSON object is needed"
            )
        for name, least, most in (
            ("delay", 0, LONGEST_DELAY),
            ("status", 400, 599),
            ("times", 1, 1_000_000),
        ):
            value = told.get(name, least)
            if (
                isinstance(value, bool)
                or not isinstance(value, int if name != "delay" else int | float)
                or not least <= value <= most
            ):
                return f"{name} is {'a number' if name == 'delay' else 'a whole number'} from {least} to {most}"
        with self._changed:
            self._told, self._turn = told, self._turn + 1
            self._changed.notify_all()
        return ""

    def now(self) -> dict[str, Any]:
        """Return what it was told, with the ``times`` that are left."""
        with self._changed:
            return dict(self._told)

    def next(self) -> tuple[dict[str, Any], int]:
        """Count a delivery; return how it is answered, and the number of that behaviour."""
        with self._changed:
            told = dict(self._told)
            if "times" in told:
                self._told = {**told, "times": told["times"] - 1} if told["times"] > 1 else {}
            return told, self._turn

    def wait(self, seconds: float, turn: int) -> None:
        """Wait for so long, or until there is a newer behaviour than that numbered ``turn``."""
        with self._changed:
            self._changed.wait_for(lambda: self._turn != turn, seconds)


class Handler(BaseHTTPRequestHandler):
    """POST /deliveries takes one; GET / shows them, GET /deliveries as JSON; PUT /behaviour says how they are answered."""

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
        """Show what was delivered."""
        # A page from elsewhere whose name was made to point here must not read this.
        if self.headers.get("Host", "").rsplit(":", 1)[0] not in {"127.0.0.1", "localhost"}:
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, {"error": "ask 127.0.0.1"})
        elif self.path == "/deliveries":
            self._answer(HTTPStatus.OK, {"results": self._deliveries.newest_first()})
        elif self.path == "/style.css":
            self._send(HTTPStatus.OK, "text/css", STYLE.encode())
        elif self.path == "/":
            self._send(
                HTTPStatus.OK,
                "text/html; charset=utf-8",
                page(self._deliveries.newest_first(), self._behaviour.now()).encode(),
            )
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "only / and /deliveries are here"})

    def do_POST(self) -> None:
        """Take one delivery."""
        if (body := self._body("/deliveries")) is None:
            return
        if not (key := self.headers.get("Idempotency-Key", "")):
            self._answer(HTTPStatus.BAD_REQUEST, {"error": "Idempotency-Key is missing"})
            return
        told, turn = self._behaviour.next()
        headers = {
            name: self.headers[name] for name in (*CONTEXT, "Content-Type") if name in self.headers
        }
        repeat = "status" not in told and not self._deliveries.add(key, headers, body)
        self._behaviour.wait(told.get("delay", 0), turn)
        if "status" in told:
            self._answer(told["status"], {"error": "told to refuse"})
        else:
            self._answer(HTTPStatus.OK, {"received": True, "repeat": repeat})

    def do_PUT(self) -> None:
        """Take how deliveries are to be answered from now on."""
        if (body := self._body("/behaviour")) is None:
            return
        try:
            wrong = self._behaviour.change(json.loads(body))
        except ValueError:
            wrong = "this is no JSON"
        self._answer(
            HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK,
            {"error": wrong} if wrong else self._behaviour.now(),
        )

    def _body(self, path: str) -> bytes | None:
        """Return the body of a request for ``path`` that has the token; None where it was refused."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LONGEST_BODY:
            self.close_connection = True  # the body is unread
            self._answer(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE
                if length.isdecimal()
                else HTTPStatus.LENGTH_REQUIRED,
                {"error": "Content-Length"},
            )
            return None
        body = self.rfile.read(int(length))
        if not hmac.compare_digest(
            self.headers.get("Authorization", "").encode(), f"Bearer {self._token}".encode()
        ):
            self._answer(HTTPStatus.UNAUTHORIZED, {"error": "wrong token"})
            return None
        if self.path != path:
            self._answer(
                HTTPStatus.NOT_FOUND,
                {
                    "error": "deliveries go to /deliveries by POST, how to answer them to /behaviour by PUT"
                },
            )
            return None
        return body

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the page shows what came."""

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(document).encode())

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": content_type,
            "Content-Length": str(len(body)),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        }
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def page(deliveries: list[dict[str, Any]], told: dict[str, Any]) -> str:
    """Return the page that shows ``deliveries`` and what it was told; whatever was delivered is shown as text."""
    rows = []
    for delivery in deliveries:
        text = base64.b64decode(delivery["body_base64"]).decode(errors="replace")
        context = (delivery["headers"].get(name, "") for name in CONTEXT[:4])
        cells = [
            delivery["received_at"],
            *context,
            str(delivery["size"]),
            str(delivery["repeats"]),
            delivery["key"],
        ]
        rows.append(
            "<tr>"
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
            + f"<td><pre>{html.escape(text[:400])}</pre></td></tr>"
        )
    heads = (
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
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Aurora (demo)</title>'
        f'<link rel="stylesheet" href="/style.css"></head><body><main><h1>Aurora (demo): {len(rows)} deliveries</h1>'
        f"<p>The last {KEEP}, newest first. A repeat is the same idempotency key again."
        f"{html.escape(f' Told to answer so: {json.dumps(told)}') if told else ''}</p><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}"
        "</tbody></table></main></body></html>"
    )


def main(var: Path, port: int) -> None:
    """Receive on 127.0.0.1:``port`` until killed; the token is in ``var``/aurora-token."""
    deliveries = Deliveries(var / "aurora-deliveries.jsonl")
    ThreadingHTTPServer.daemon_threads = True
    ThreadingHTTPServer(
        ("127.0.0.1", port),
        partial(Handler, deliveries, Behaviour(), (var / "aurora-token").read_text().strip()),
    ).serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
