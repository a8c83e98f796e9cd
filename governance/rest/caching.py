"""What may be kept of an answer: nothing, unless its view says otherwise."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

#: Answers have a user's data, and change at any time.
NO_STORE = "no-store"


class NoStoreMiddleware:
    """Sets Cache-Control on each answer that has none, and Vary on all."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", NO_STORE)
        # Two callers of one address get two answers.
        patch_vary_headers(response, ("Authorization", "Cookie"))
        return response
