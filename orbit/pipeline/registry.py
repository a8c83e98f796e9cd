"""Names of transformers and processors. Rows and files hold names only; nothing is ever imported by a path that data holds."""

import functools
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, TypeVar

from governance.kernel.errors import Kind, OrbitError
from orbit.pipeline import transformers
from orbit.pipeline.contract import Context, Payload, Processor, Transformer, TransformError

_T = TypeVar("_T", Transformer, Processor)

__all__ = [
    "BrokenEntryPoint",
    "Context",
    "Payload",
    "Processor",
    "TransformError",
    "Transformer",
    "UnknownProcessor",
    "UnknownTransformer",
    "names",
    "option_checks",
    "processor",
    "processor_names",
    "transformer",
]


class UnknownTransformer(OrbitError):
    """No transformer has this name."""

    code, kind = "unknown_transformer", Kind.INVALID


class UnknownProcessor(OrbitError):
    """No processor has this name."""

    code, kind = "unknown_processor", Kind.INVALID


class BrokenEntryPoint(OrbitError):
    """An installed package offers a transformer or processor that can't be used."""

    code, kind = "broken_entry_point", Kind.INVALID


def transformer(name: str) -> Transformer:
    """Return the transformer called ``name``. Raises UnknownTransformer, and BrokenEntryPoint when an installed package's offer can't be used."""
    found = _transformers().get(name)
    if found is None:
        raise UnknownTransformer(
            f"No transformer is called {name!r}. Known are: {', '.join(names())}."
        )
    return found


def processor(name: str) -> Processor:
    """Return the processor called ``name``. Raises UnknownProcessor, and BrokenEntryPoint as ``transformer`` does."""
    found = _processors().get(name)
    if found is None:
        raise UnknownProcessor(
            f"No processor is called {name!r}. Known are: {', '.join(processor_names())}."
        )
    return found


def names() -> list[str]:
    """Return the names of all transformers, sorted."""
    return sorted(_transformers())


def processor_names() -> list[str]:
    """Return the names of all processors, sorted."""
    return sorted(_processors())


def option_checks() -> dict[str, Callable[[Mapping[str, Any]], list[dict[str, str]]]]:
    """Return for each transformer the function that finds the faults of its options."""
    return {name: found.problems for name, found in _transformers().items()}


@functools.cache
def _transformers() -> Mapping[str, Transformer]:
    return _gather(
        "orbit.transformers",
        Transformer,
        [transformers.PASSTHROUGH, transformers.TEMPLATE, transformers.HTTP],
    )


@functools.cache
def _processors() -> Mapping[str, Processor]:
    return _gather("orbit.processors", Processor, [transformers.KEEP])


def _gather(group: str, kind: type[_T], builtin: list[_T]) -> Mapping[str, _T]:
    found = {item.name: item for item in builtin}
    for point in entry_points(group=group):
        if point.name in found:
            raise BrokenEntryPoint(
                f"Two offers are called {point.name!r} in {group} (one of them {point.value}). Uninstall one."
            )
        try:
            item = point.load()
        except (
            Exception
        ) as error:  # another package's module may raise anything when it is imported
            raise BrokenEntryPoint(f"{point.value} of {group} can't be loaded: {error}") from error
        if not isinstance(item, kind):
            raise BrokenEntryPoint(f"{point.value} of {group} is no {kind.__name__}.")
        found[point.name] = item
    return MappingProxyType(found)
