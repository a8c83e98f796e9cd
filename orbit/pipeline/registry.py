"""The names of transformers and processors. No data names an import path."""

import functools
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, TypeVar

from governance.kernel.errors import Kind, OrbitError
from orbit.pipeline import transformers
from orbit.pipeline.contract import Processor, Transformer

_T = TypeVar("_T", Transformer, Processor)


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
    """Return a transformer. Raises UnknownTransformer and BrokenEntryPoint."""
    transformer = _transformers().get(name)
    if transformer is None:
        raise UnknownTransformer(
            f"There is no transformer {name!r}. Choose from: {', '.join(names())}."
        )
    return transformer


def processor(name: str) -> Processor:
    """Return a processor. Raises UnknownProcessor and BrokenEntryPoint."""
    processor = _processors().get(name)
    if processor is None:
        raise UnknownProcessor(
            f"There is no processor {name!r}. Choose from: {', '.join(processor_names())}."
        )
    return processor


def names() -> list[str]:
    """Return the names of all transformers, sorted."""
    return sorted(_transformers())


def processor_names() -> list[str]:
    """Return the names of all processors, sorted."""
    return sorted(_processors())


def option_checks() -> dict[str, Callable[[Mapping[str, Any]], list[dict[str, str]]]]:
    """Return each transformer's check of its options, by name."""
    return {name: transformer.problems for name, transformer in _transformers().items()}


def refresh() -> None:
    """Look for installed entry points again."""
    _transformers.cache_clear()
    _processors.cache_clear()


@functools.cache
def _transformers() -> Mapping[str, Transformer]:
    builtin = [transformers.PASSTHROUGH, transformers.TEMPLATE, transformers.HTTP]
    return _load("orbit.transformers", Transformer, builtin)


@functools.cache
def _processors() -> Mapping[str, Processor]:
    return _load("orbit.processors", Processor, [transformers.KEEP])


def _load(group: str, kind: type[_T], builtin: list[_T]) -> Mapping[str, _T]:
    by_name = {item.name: item for item in builtin}
    for point in entry_points(group=group):
        if point.name in by_name:
            raise BrokenEntryPoint(
                f"Two packages offer {point.name!r} in {group} (one of them {point.value}). "
                "Uninstall one."
            )
        try:
            item = point.load()
        except Exception as error:  # importing another package may raise anything
            raise BrokenEntryPoint(f"{point.value} of {group} can't be loaded: {error}") from error
        if not isinstance(item, kind):
            raise BrokenEntryPoint(f"{point.value} of {group} is not a {kind.__name__}.")
        by_name[point.name] = item
    return MappingProxyType(by_name)
