"""Sends a batch to Orbit over HTTP. Loaded by the thread that sends, not by the script."""

import gzip
import json
import urllib.error
import urllib.request
from email.message import Message
from typing import IO
from urllib.parse import urlsplit

from .verdicts import Answer, decide

_PATH = "/telemetry/events"
_MAX_ANSWER = 4 << 20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the token to another server."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        """Follow none."""


# Proxies come from the environment as usual: https_proxy, no_proxy.
_OPENER = urllib.request.build_opener(_NoRedirect)


def post(url: str, token: str, lines: list[bytes], *, timeout: float) -> Answer:
    """Send ``lines``; return what is to be done with them. Raises nothing that a network does."""
    if urlsplit(url).scheme not in {"http", "https"}:
        return Answer.keep("ORBIT_URL must begin with http:// or https://.", wait=60)
    request = urllib.request.Request(  # noqa: S310 - checked above
        url + _PATH,
        data=gzip.compress(b"".join(lines), compresslevel=5),
        method="POST",
        headers={
            "Content-Type": "application/x-ndjson",
            "Content-Encoding": "gzip",
            "Authorization": f"Bearer {token}",
            "User-Agent": "orbit-telemetry-client",
        },
    )
    try:
        with _OPENER.open(request, timeout=timeout) as response:
            body = response.read(_MAX_ANSWER)
            return decide(response.status, response.headers.get("Retry-After"), _json(body))
    except urllib.error.HTTPError as error:
        with error:
            return decide(error.code, error.headers.get("Retry-After"), None)
    except urllib.error.URLError as error:
        return Answer.keep(f"Orbit can't be reached: {error.reason}.")
    except OSError as error:
        return Answer.keep(f"Orbit can't be reached: {error}.")


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None
