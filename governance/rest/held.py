"""Answers that may wait: the web server asks the view again until there is something to say."""

import hashlib

from rest_framework.response import Response

#: For the web server alone, which takes it out.
HEADER = "X-Orbit-Hold"
LONGEST_SECONDS = 20


def hold(response: Response, *, seconds: float, queue: str) -> Response:
    """Let the web server wait up to ``seconds`` and ask again; without one nothing waits.

    ``queue``: requests of the same one see the same work, so that one of them at a time asks again.
    """
    name = hashlib.sha256(queue.encode()).hexdigest()[:32]
    response[HEADER] = f"{min(seconds, LONGEST_SECONDS):g} {name}"
    return response
