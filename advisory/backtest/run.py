"""Run a proposal against what is on record. Reads only, in one snapshot."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from django.db import DatabaseError, connection, transaction
from psycopg.errors import QueryCanceled

from advisory.backtest import changes, limits, record, replay, ticks
from advisory.backtest.changes import Changes
from advisory.backtest.record import Base, Record, Rows
from advisory.backtest.replay import FIGURES, Facts, RecordedCycle, ReplayedCycle
from advisory.backtest.result import (
    MOST_LISTED,
    Backtest,
    Figure,
    Range,
    Verdict,
    Waiting,
)
from advisory.backtest.ticks import ComparedTicks, TickRows
from advisory.models import StrategyProposal
from advisory.proposals import documents, patches
from advisory.proposals.patches import PatchInvalid
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.kernel import clock, json_diff
from governance.kernel.errors import Kind, OrbitError
from governance.kernel.statement_limit import statement_limit
from orbit.dispatch import endpoints
from orbit.pipeline import registry
from orbit.profiles import schema
from orbit.states import Trigger

DEFAULT_CYCLES, MOST_CYCLES = 200, 1_000
#: Shorter than the limit of a request's statements.
SECONDS = 8
#: A change of a cycle's waits that counts, in seconds: less is rounding.
_SHORTEST_CHANGE = 0.001
#: A tick may start its cycle so much later.
_LATEST_START = timedelta(hours=1)

_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


class CyclesInvalid(OrbitError):
    """A backtest takes 1 to 1,000 cycles."""

    code, kind = "invalid_cycles", Kind.INVALID


class TooLarge(OrbitError):
    """The backtest took too long. Ask for fewer cycles."""

    code, kind = "backtest_too_large", Kind.UNAVAILABLE


def run(
    proposal: StrategyProposal,
    *,
    cycles: int = DEFAULT_CYCLES,
    actor: Actor,
    until: datetime | None = None,
) -> Backtest:
    """Compare the newest ``cycles`` ended cycles of the proposal's document with its patch.

    ``actor``, who sees the proposal, gets cycles of its own namespaces only. ``until``: cycles that
    had ended by then, now by default; with the ``until`` of an earlier backtest the same rows make
    the same result. Raises CyclesInvalid and TooLarge.
    """
    actor.require(Scope.READ)
    if not 1 <= cycles <= MOST_CYCLES:
        raise CyclesInvalid(f"{cycles} cycles? A backtest takes 1 to {MOST_CYCLES:,}.")
    return _Run(proposal, cycles, actor, until).result()


@contextmanager
def _snapshot() -> Iterator[None]:
    # A caller's transaction keeps its own isolation.
    begin = None if connection.in_atomic_block else _SNAPSHOT
    try:
        with transaction.atomic():
            if begin is not None:
                with connection.cursor() as cursor:
                    cursor.execute(begin)
            with statement_limit(SECONDS):
                yield
    except DatabaseError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooLarge from error
        raise


class _Run:
    """Collects a backtest."""

    def __init__(
        self, proposal: StrategyProposal, cycles: int, actor: Actor, until: datetime | None
    ) -> None:
        self._proposal, self._most, self._actor = proposal, cycles, actor
        self._until = until

    def result(self) -> Backtest:
        base = record.read_base(self._proposal)
        if base is None:
            # Its profile was never here, or came from another database.
            return self._empty(self._until or clock.now(), [limits.no_base(self._proposal)])
        until = self._until or base.now
        try:
            after = patches.apply(base.document, self._proposal.patch)
        except PatchInvalid as error:
            return self._empty(until, [limits.no_longer_applies(self._proposal, error.detail)])
        if problems := self._problems(base.document, after):
            return self._empty(until, [limits.breaks_schema(problems)])
        kind, _ = documents.document_of(self._proposal)
        patch = changes.between(kind, base.document, after)
        with _snapshot():
            rows = record.read_rows(
                self._proposal,
                patch,
                most=self._most,
                until=until,
                namespaces=self._actor.namespaces,
            )
            tick_rows = self._read_ticks(patch, rows)
        read = record.of_rows(self._proposal, rows)
        compared = (
            None
            if tick_rows is None or patch.cron is None
            else ticks.compare(tick_rows, patch.cron)
        )
        facts = Facts(patch, endpoints.configured().keys(), _is_slow)
        replayed = [_replay(cycle, facts, compared) for cycle in read.cycles]
        return self._sum_up(base, after, until, patch, read, compared, replayed)

    def _empty(self, until: datetime, cannot_tell: list[str]) -> Backtest:
        return Backtest(self._proposal.pk, self._most, until, cannot_tell=tuple(cannot_tell))

    def _problems(self, before: dict[str, Any], after: dict[str, Any]) -> schema.Problems:
        if after == {**before, "state": "disabled"}:
            return []  # as in the editor
        if self._proposal.run_profile_id is None:
            return schema.profile_problems(
                after,
                transformers=registry.option_checks(),
                processors=registry.processor_names(),
            )
        # A target that isn't configured is a fact about the cycles, not an error.
        return schema.run_profile_problems(after, profiles=None, endpoints=None)

    def _read_ticks(self, patch: Changes, rows: Rows) -> TickRows | None:
        created = [row.created_at for row in rows.compared]
        if patch.cron is None or not created or self._proposal.run_profile_id is None:
            return None
        return ticks.read(
            self._proposal.run_profile_id,
            since=min(created) - _LATEST_START,
            until=max(created),
        )

    def _sum_up(
        self,
        base: Base,
        after: dict[str, Any],
        until: datetime,
        patch: Changes,
        read: Record,
        compared: ComparedTicks | None,
        replayed: Sequence[ReplayedCycle],
    ) -> Backtest:
        differing = [cycle for cycle in replayed if cycle.verdict != Verdict.SAME]
        return Backtest(
            self._proposal.pk,
            self._most,
            until,
            changes=tuple(json_diff.changes(base.document, after)),
            first_at=read.cycles[-1].created_at if read.cycles else None,
            last_at=read.cycles[0].created_at if read.cycles else None,
            verdicts=Counter(cycle.verdict for cycle in replayed),
            left_out=read.left_out,
            hidden=read.hidden,
            figures={name: _sum(name, replayed) for name in FIGURES},
            waiting=_waiting(replayed),
            ticks=None if compared is None else compared.ticks,
            differing=tuple(cycle.listed for cycle in differing[:MOST_LISTED]),
            cannot_tell=tuple(
                limits.sentences(
                    proposal=self._proposal,
                    base=base,
                    patch=patch,
                    read=read,
                    ticks=compared,
                    replayed=replayed,
                )
            ),
        )


def _is_slow(transformer: str) -> bool:
    try:
        return registry.transformer(transformer).slow
    except OrbitError:
        return True  # it isn't installed any more: it may be


def _replay(cycle: RecordedCycle, facts: Facts, compared: ComparedTicks | None) -> ReplayedCycle:
    replayed = replay.replay(cycle, facts)
    if facts.changes.disabled:
        return replay.without(replayed, "it would not have been started", certain=True)
    if compared is None or cycle.trigger != Trigger.CRON:
        return replayed
    # A tick that isn't this schedule's own is that of all run profiles: it started this one because
    # it had no cron.
    if compared.too_many or compared.kept.get(cycle.call or cycle.id, False):
        return replayed
    if compared.ticks.new == 0:
        certain = bool(facts.changes.cron and facts.changes.cron.cron)
        why = "its tick would not have been due"
        return replay.without(replayed, why, certain=certain)
    if compared.fewer:
        why = "its tick would have been due at another time, or not at all"
        return replay.without(replayed, why, certain=False)
    return replay.moved(replayed, "its tick would have been due at another time")


def _sum(name: str, replayed: Sequence[ReplayedCycle]) -> Figure:
    figures = [cycle.figures[name] for cycle in replayed]
    return Figure(
        # In whole milliseconds, so that the order of the cycles doesn't matter.
        sum(figure.before for figure in figures),
        sum((figure.after for figure in figures), start=Range.of(0)),
    )


def _waiting(replayed: Sequence[ReplayedCycle]) -> Waiting:
    """Return how waits change where the record can tell."""
    figures = [cycle.figures["waiting_seconds"] for cycle in replayed if _still_runs(cycle)]
    certain = [
        change
        for figure in figures
        if figure.after.least == figure.after.most
        and abs(change := figure.after.least - figure.before) >= _SHORTEST_CHANGE
    ]
    return Waiting(
        sum(change > 0 for change in certain),
        sum(change < 0 for change in certain),
        median(certain) if certain else None,
    )


def _still_runs(cycle: ReplayedCycle) -> bool:
    return replay.NOT_RUN not in cycle.would_be
