"""Orbit's work API over HTTP: one call each, and what its answer means."""

import random
import threading
from collections.abc import Iterator
from typing import Any

import requests

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
#: Statuses that another try may change.
_AGAIN = {408, 429, 500, 502, 503, 504}
_CONNECT_SECONDS = 10


class Refused(Exception):
    """Orbit refused the call, and will again."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        self.status, self.code, self.detail = status, code, detail
        super().__init__(f"Orbit answered {status} {code}: {detail}")


class Away(Exception):
    """Orbit can't be reached or is busy. ``wait``: the seconds that it asked for, or 0."""

    def __init__(self, problem: str, wait: float = 0.0) -> None:
        self.wait = wait
        super().__init__(problem)


class Api:
    """Calls with a token; threads may share it."""

    def __init__(self, url: str, token: str) -> None:
        self._base = f"{url.rstrip('/')}/conductor/tasks"
        self._auth = _Bearer(token)
        self._local = threading.local()  # a session isn't made for threads

    def post(self, path: str, body: dict[str, Any], *, seconds: float = 30) -> dict[str, Any]:
        """Send ``body`` and return the answer's. Raises Refused and Away."""
        try:
            answer = self._session().post(
                f"{self._base}/{path}",
                json=body,
                auth=self._auth,
                timeout=(_CONNECT_SECONDS, seconds),
                allow_redirects=False,  # it would take the token elsewhere
            )
        except requests.RequestException as error:
            raise Away(f"Orbit can't be reached: {type(error).__name__}: {error}") from error
        if answer.status_code in _AGAIN:
            raise Away(f"Orbit answered {answer.status_code}.", _seconds(answer))
        document = _document(answer)
        if answer.status_code >= 300:
            code, detail = document.get("code", ""), document.get("detail", answer.reason)
            raise Refused(answer.status_code, str(code), str(detail))
        return document

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
        return session


class _Bearer(requests.auth.AuthBase):
    """Without an auth of its own, requests would take a password from ~/.netrc instead."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


def waits() -> Iterator[float]:
    """Yield the seconds before each next try: 0.5 doubled up to 30, a fifth more or less."""
    wait = FIRST_WAIT
    while True:
        yield wait * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
        wait = min(2 * wait, LONGEST_WAIT)


def _seconds(answer: requests.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return min(float(text), 60.0) if text.isdecimal() else 0.0


def _document(answer: requests.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
