"""Work that an app adds to the types of operation runs that are started once per UTC day.

An app registers it when it is ready, so that the apps below need not know it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from governance.operations.slices import SliceHandler

_handlers: dict[str, SliceHandler] = {}


def register(type_: str, handler: SliceHandler) -> None:
    """Have runs of ``type_`` started every day. Raises ValueError if it is taken by another."""
    if _handlers.setdefault(type_, handler) is not handler:
        raise ValueError(f"Operation runs of the type {type_} have a handler already.")


def registered() -> Mapping[str, SliceHandler]:
    """Return what does the slices, by type."""
    return MappingProxyType(_handlers)
