"""The two variables that must both be true before autonomy does anything."""

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.conf import settings

log = logging.getLogger(__name__)

VARIABLES = ("ORBIT_PHASE4_ENABLED", "ORBIT_PHASE4_ALLOW_MUTATION")

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")


def off() -> str:
    """Return the variables that aren't true; empty if autonomy is on."""
    return " and ".join(name for name in VARIABLES if not getattr(settings, name))


def guarded(skipped: Callable[[], U]) -> Callable[[Callable[P, T]], Callable[P, T | U]]:
    """Make a function log that it was skipped, and return ``skipped()``, while autonomy is off."""

    def guard(function: Callable[P, T]) -> Callable[P, T | U]:
        @functools.wraps(function)
        def guarded_function(*args: P.args, **kwargs: P.kwargs) -> T | U:
            if variables := off():
                verb = "are" if " and " in variables else "is"
                log.info(
                    "Autonomy is off, so %s was skipped: %s %s not true",
                    function.__name__,
                    variables,
                    verb,
                )
                return skipped()
            return function(*args, **kwargs)

        return guarded_function

    return guard
