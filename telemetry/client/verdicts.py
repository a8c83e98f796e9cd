"""Decides what Orbit's answer means for a batch. Pure."""

from dataclasses import dataclass, field
from enum import Enum

#: Orbit asks for at most this long, in seconds.
_LONGEST = 600.0
_TOKEN_WAIT = 60.0


class Then(Enum):
    """What to do with a batch."""

    DONE = "remove it"
    KEEP = "send it later"
    SPLIT = "send its halves: one event spoils it"


@dataclass(frozen=True)
class Answer:
    """What became of a batch. ``rejected``: index, code and detail of events."""

    then: Then
    sentence: str = ""
    wait: float | None = None
    rejected: list[tuple[int, str, str]] = field(default_factory=list)

    @classmethod
    def keep(cls, sentence: str, *, wait: float | None = None) -> "Answer":
        """Return one that sends the batch later, after ``wait`` seconds or a growing time."""
        return cls(Then.KEEP, sentence, wait)


def decide(status: int, retry_after: str | None, body: object) -> Answer:
    """Return what an answer with ``status`` and the JSON ``body`` means."""
    if status in {200, 202, 207} and isinstance(body, dict) and "accepted" in body:
        return Answer(Then.DONE, rejected=_rejected(body.get("rejected")))
    if status in {401, 403}:
        return Answer.keep(
            f"Orbit refuses the token in ORBIT_TOKEN ({status}). It needs the scope operate.",
            wait=_TOKEN_WAIT,
        )
    if status in {429, 503}:
        return Answer.keep(f"Orbit has no time now ({status}).", wait=_seconds(retry_after))
    # A proxy's 400, such as for HTTP on a port of HTTPS, has nothing to do with the events.
    if status == 413 or (status in {400, 422} and isinstance(body, dict)):
        return Answer(Then.SPLIT, f"Orbit can't read a batch ({status}).")
    if 300 <= status < 500 and status not in {408, 425}:
        return Answer.keep(f"{status} is no answer of Orbit: check ORBIT_URL.", wait=_TOKEN_WAIT)
    if status < 300:
        return Answer.keep("the answer isn't Orbit's: check ORBIT_URL.", wait=_TOKEN_WAIT)
    return Answer.keep(f"Orbit answers {status}.")


def _rejected(items: object) -> list[tuple[int, str, str]]:
    if not isinstance(items, list):
        return []
    return [
        (item["index"], str(item.get("code")), str(item.get("detail")))
        for item in items
        if isinstance(item, dict) and isinstance(item.get("index"), int)
    ]


def _seconds(retry_after: str | None) -> float | None:
    text = (retry_after or "").strip()
    return min(float(text), _LONGEST) if text.isascii() and text.isdigit() else None
