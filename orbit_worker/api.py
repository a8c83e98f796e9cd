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
    """Orbit refused the call, and will again. ``document``: its answer."""

    def __init__(self, status: int, document: dict[str, Any], reason: str = "") -> None:
        self.status, self.document = status, document
        self.code, self.detail = str(document.get("code", "")), document.get("detail", reason)
        super().__init__(f"Orbit answered {status} {self.code}: {self.detail}")


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

    def post(
        self, path: str, body: dict[str, Any], *, seconds: float = 30, answers: str = ""
    ) -> dict[str, Any]:
        """Send ``body`` and return the answer's, which has the list ``answers``.

        Raises Refused and Away, and ValueError for an address or a token that can't be sent.
        """
        try:
            answer = self._session().post(
                f"{self._base}/{path}",
                json=body,
                auth=self._auth,
                timeout=(min(_CONNECT_SECONDS, seconds), seconds),
                allow_redirects=False,  # it would take the token elsewhere
            )
        except requests.RequestException as error:
            if isinstance(error, ValueError):
                raise
            raise Away(f"Orbit can't be reached: {type(error).__name__}: {error}") from error
        status, document = answer.status_code, _document(answer)
        if status in _AGAIN:
            raise Away(f"Orbit answered {status}.", _seconds(answer))
        # Proxies answer so while Orbit is away. Its own refusals have a code.
        if status == 404 and "code" not in document:
            raise Away(f"{self._base} answered 404, and not as Orbit does. Is the address right?")
        if status >= 300:
            raise Refused(status, document, answer.reason)
        if answers and not isinstance(document.get(answers), list):
            raise Away(f"{self._base} answered {status}, but not as Orbit does.")
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
