"""Receivers whose answer can change while they listen."""

from datetime import UTC, datetime
from socket import socket
from types import TracebackType
from typing import Self

from tests.support.receiver import Answer, Receiver, act


class Sink:
    """A receiver whose answer can change while it listens."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        #: When each request came.
        self.times: list[datetime] = []
        self.receiver = Receiver(self._take)

    def _take(self, sock: socket) -> None:
        self.times.append(datetime.now(UTC))
        act(sock, self.answer)

    def __enter__(self) -> Self:
        self.receiver.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.receiver.stop()

    def forget(self) -> None:
        """Forget the requests that came."""
        self.times.clear()
        self.receiver.requests.clear()

    @property
    def url(self) -> str:
        return self.receiver.url

    @property
    def requests(self) -> int:
        """How many requests have come."""
        return len(self.receiver.requests)
