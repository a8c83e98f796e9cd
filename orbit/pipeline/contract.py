"""What a transformer and a processor are: the contract of the built-in ones and of other packages.

A package offers its own by an entry point of the group ``orbit.transformers`` or
``orbit.processors`` that names a ``Transformer`` or ``Processor`` object.
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
    """One attempt of a tier. ``timeout`` is in seconds, for this attempt alone."""

    transformation_id: str
    options: Mapping[str, Any]
    timeout: float
    cycle_id: str
    namespace: str
    tier: int


class TransformError(OrbitError):
    """The transformation failed."""

    code, kind = "transform_failed", Kind.UNAVAILABLE

    def __init__(self, detail: str = "", *, retry: bool = True) -> None:
        """``retry`` is False if another attempt would fail as well."""
        super().__init__(detail)
        self.retry = retry


def _no_more_problems(options: Mapping[str, Any]) -> list[dict[str, str]]:
    return []


@dataclass(frozen=True, slots=True)
class Transformer:
    """One way to turn a cycle's input into a tier's output.

    ``run`` returns within the context's time-out or raises TransformError. After a crash it may be
    called again with the same transformation id. ``options_schema`` is a JSON Schema (draft
    2020-12). ``check`` finds what a schema can't, and returns ``{pointer, detail}`` for each
    problem. ``slow`` says that it waits for something outside this process.
    """

    name: str
    options_schema: Mapping[str, Any]
    run: Callable[[Payload, Context], Payload]
    slow: bool = True
    check: Callable[[Mapping[str, Any]], list[dict[str, str]]] = field(default=_no_more_problems)

    def problems(self, options: Mapping[str, Any]) -> list[dict[str, str]]:
        """Return what is wrong with ``options``; pointers start at the options."""
        return schemas.problems(self.options_schema, options) or self.check(options)


@dataclass(frozen=True, slots=True)
class Processor:
    """What normalization does with the output of one successful tier.

    One payload in, one out. It may be called again after a crash.
    """

    name: str
    run: Callable[[Payload], Payload]
