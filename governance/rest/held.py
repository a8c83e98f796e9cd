"""Answers that may wait: the web server asks the view again until there is something to say.

And what the web server does if the client that asked has gone before it had its answer.
"""

import hashlib
from collections.abc import Callable
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

#: For the web server alone, which takes it out.
HEADER = "X-Orbit-Hold"
LONGEST_SECONDS = 20
_UNDO = "orbit.undo"


def hold(response: Response, *, seconds: float, queue: str) -> Response:
    """Let the web server wait up to ``seconds`` and ask again; without one nothing waits.

    ``queue``: requests of the same one see the same work, so that one of them at a time asks again.
    """
    name = hashlib.sha256(queue.encode()).hexdigest()[:32]
    response[HEADER] = f"{min(seconds, LONGEST_SECONDS):g} {name}"
    return response


def undo_if_unsent(request: Request, undo: Callable[[], object]) -> None:
    """Let the web server call ``undo``, if it sees that the client has gone without the answer."""
    request.META[_UNDO] = undo


def undo_of(environment: dict[str, Any]) -> Callable[[], object] | None:
    """Return what undoes the request of this WSGI environment, or None."""
    undo: Callable[[], object] | None = environment.get(_UNDO)
    return undo
