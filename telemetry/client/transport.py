"""Sends a batch to Orbit over HTTP. Loaded by the thread that sends, not by the script."""

import gzip
import http.client
import json
import re
import urllib.error
import urllib.request
from contextlib import suppress
from email.message import Message
from typing import IO

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
    if problem := _problem(url, token):
        return Answer.keep(problem, wait=60)
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
            return decide(error.code, error.headers.get("Retry-After"), _body_of(error))
    except urllib.error.URLError as error:
        return Answer.keep(f"Orbit can't be reached: {error.reason}.")
    except (OSError, http.client.HTTPException) as error:
        return Answer.keep(f"Orbit can't be reached: {error or type(error).__name__}.")


def _body_of(error: urllib.error.HTTPError) -> object:
    with suppress(OSError, http.client.HTTPException):
        return _json(error.read(_MAX_ANSWER))
    return None


def _problem(url: str, token: str) -> str | None:
    """Say what is wrong with the settings. Python would, too, and show the secret in them."""
    if not re.fullmatch(r"[\x21-\x7e]*", token):
        return "ORBIT_TOKEN has a space, a line end or a letter that no token has."
    if not re.fullmatch(r"https?://[\x21-\x7e]+", url, re.IGNORECASE):
        return "ORBIT_URL must begin with http:// or https://, and have no spaces."
    if "@" in url.split("/")[2]:
        return "ORBIT_URL must have no user and no password: Orbit takes a token, in ORBIT_TOKEN."
    return None


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
