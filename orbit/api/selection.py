"""Bodies that name many objects: by ``ids``, or by a ``filter``."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar
from uuid import UUID

from governance.rest import parsing

Filter = TypeVar("Filter")


class Selection(Generic[Filter]):
    """The members of a body that name objects."""

    def __init__(
        self,
        make: Callable[..., Filter],
        filters: Mapping[str, Mapping[str, Any]],
        *,
        max_ids: int,
        max_rate: int,
        # What an empty filter matches, for the refusal.
        everything: str,
    ) -> None:
        self._make, self._filters, self._everything = make, filters, everything
        self.members: dict[str, Any] = {
            "reason": parsing.REASON,
            "ids": {"type": "array", "items": parsing.UUID, "minItems": 1, "maxItems": max_ids},
            "filter": parsing.closed_object(dict(filters)),
            "rate": {"type": "integer", "minimum": 1, "maximum": max_rate},
        }

    def read(self, body: Mapping[str, Any]) -> Filter | list[UUID]:
        """Return the ids or the filter of ``body``. Raises BodyInvalid."""
        if "ids" in body and "filter" in body:
            raise parsing.invalid("/filter", "Send either `ids` or `filter`, not both.")
        if "ids" in body:
            return [UUID(text) for text in body["ids"]]
        if "filter" not in body:
            raise parsing.invalid("", f"Send `ids` or `filter`; `{{}}` matches {self._everything}.")
        members = body["filter"]
        return self._make(**{name: self._value(members, name) for name in members})

    def _value(self, members: Mapping[str, Any], name: str) -> Any:
        if self._filters[name] is parsing.TIME:
            return parsing.moment(members, name, at="/filter")
        return UUID(members[name]) if self._filters[name] is parsing.UUID else members[name]
