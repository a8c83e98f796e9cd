"""The contract of transformers and processors.

A package offers its own by an entry point of the group ``orbit.transformers`` or
``orbit.processors``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from governance.kernel import schemas
from governance.kernel.errors import Kind, OrbitError

MAX_OUTPUT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Payload:
    """Opaque bytes and their content type."""

    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Context:
    """One attempt of a tier."""

    transformation_id: str
    options: Mapping[str, Any]
    timeout: float  # seconds, for this attempt alone
    cycle_id: str
    namespace: str
    tier: int
    #: The header of that name for its requests (W3C trace context); empty without tracing.
    traceparent: str = ""


class TransformError(OrbitError):
    """The transformation failed."""

    code, kind = "transform_failed", Kind.UNAVAILABLE

    def __init__(self, detail: str = "", *, retry: bool = True) -> None:
        """``retry``: False if another attempt would fail too."""
        super().__init__(detail)
        self.retry = retry


def _no_more_problems(options: Mapping[str, Any]) -> list[dict[str, str]]:
    return []


@dataclass(frozen=True, slots=True)
class Transformer:
    """A way to turn a cycle's input into a tier's output.

    ``run`` returns within the time-out or raises TransformError. After a crash it may run again
    with the same transformation id.
    """

    name: str
    options_schema: Mapping[str, Any]  # a JSON Schema, draft 2020-12
    run: Callable[[Payload, Context], Payload]
    slow: bool = True  # waits for something outside this process
    # Finds what a schema can't; returns pointer and detail of each problem.
    check: Callable[[Mapping[str, Any]], list[dict[str, str]]] = field(default=_no_more_problems)

    def problems(self, options: Mapping[str, Any]) -> list[dict[str, str]]:
        """Return the problems of ``options``; pointers start there."""
        return schemas.problems(self.options_schema, options) or self.check(options)


@dataclass(frozen=True, slots=True)
class Processor:
    """What normalization does with a tier's output. May run again after a crash."""

    name: str
    run: Callable[[Payload], Payload]
