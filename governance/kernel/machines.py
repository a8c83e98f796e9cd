"""State machines as tables; a move is a compare-and-set."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Generic, TypeVar

from django.db.models import CheckConstraint, Model, Q, QuerySet

from governance.kernel.errors import Kind, OrbitError

S = TypeVar("S", bound=StrEnum)
M = TypeVar("M", bound=Model)


class IllegalMove(OrbitError):
    """This state can't be reached from any other."""

    code, kind = "invalid_transition", Kind.CONFLICT


class Machine(Generic[S]):
    """A table of moves, ``{source: {targets}}``. A state without targets is final."""

    def __init__(self, states: type[S], moves: Mapping[S, set[S]]) -> None:
        self.states = states
        self.moves = {state: frozenset(moves.get(state, ())) for state in states}
        #: States that nothing leaves.
        self.final = frozenset(state for state, targets in self.moves.items() if not targets)

    def sources(self, target: S) -> list[str]:
        """Return the states that lead to ``target``. Raises IllegalMove if there are none."""
        sources = sorted(str(state) for state, targets in self.moves.items() if target in targets)
        if not sources:
            raise IllegalMove(f"Nothing becomes {target}.")
        return sources

    def allows(self, source: S, target: S) -> bool:
        """Return whether the move is in the table."""
        return target in self.moves[source]

    def move(self, rows: "QuerySet[M]", target: S, **values: Any) -> int:
        """Move ``rows`` that may become ``target``; return how many."""
        # A compare-and-set: a row that was moved meanwhile doesn't match.
        return rows.filter(status__in=self.sources(target)).update(status=str(target), **values)

    def check(self, name: str, field: str = "status") -> CheckConstraint:
        """Return a CHECK constraint that limits ``field`` to the states."""
        return CheckConstraint(
            condition=Q(**{f"{field}__in": [str(state) for state in self.states]}), name=name
        )

    def sql_sources(self, target: S) -> str:
        """Return the sources of ``target`` as SQL literals."""
        return ", ".join(f"'{source}'" for source in self.sources(target))
