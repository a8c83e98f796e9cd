"""The condition of a page by keyset."""

from typing import Any

from django.db.models import Q


def beyond(key: tuple[str, ...], values: tuple[Any, ...], *, descending: bool) -> Q:
    """Return the condition for the rows beyond the one whose ``key`` starts with ``values``."""
    way = "lt" if descending else "gt"
    first, *rest = zip(key, values, strict=False)
    if not rest:
        return Q(**{f"{first[0]}__{way}": first[1]})
    (second,) = rest
    ties = Q(**{first[0]: first[1], f"{second[0]}__{way}": second[1]})
    # The first condition says nothing new, but it is the one that an index can use.
    return Q(**{f"{first[0]}__{way}e": first[1]}) & (Q(**{f"{first[0]}__{way}": first[1]}) | ties)
