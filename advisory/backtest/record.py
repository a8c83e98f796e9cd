"""Read what is on record: a few statements, however many cycles."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models.functions import Now

from advisory.backtest import changes
from advisory.backtest.changes import Changes, Settings
from advisory.backtest.deliveries import RecordedDelivery
from advisory.backtest.replay import RecordedCycle
from advisory.backtest.tiers import RecordedTier
from advisory.models import StrategyProposal
from advisory.proposals import documents
from governance.kernel import sql
from orbit.pipeline import rules
from orbit.states import Cycle, Job, Tier

READ_CYCLES = sql.load(__name__, "read_cycles")
READ_SETTINGS = sql.load(__name__, "read_settings")
READ_TIERS = sql.load(__name__, "read_tiers")
READ_ATTEMPTS = sql.load(__name__, "read_attempts")
READ_DELIVERIES = sql.load(__name__, "read_deliveries")


@dataclass(frozen=True, slots=True)
class Base:
    """The document that a proposal changes, at its revision."""

    document: dict[str, Any]
    current_revision: int
    hidden: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """The cycles of a proposal."""

    cycles: list[RecordedCycle]
    #: How many aren't compared, by reason.
    left_out: Mapping[str, int]
    #: Others are in namespaces that the reader doesn't see.
    hidden: bool
    #: How many of ``cycles`` ran under another revision than the proposal's.
    other_revision: int


@dataclass(frozen=True, slots=True)
class _Row:
    id: UUID
    namespace: str
    status: str
    trigger: str
    call: UUID | None
    run_profile_id: str
    profile_revision: int
    run_profile_revision: int
    instruction_id: str
    input_is_instruction: bool
    has_reason: bool
    is_rerun: bool
    created_at: datetime

    @property
    def left_out(self) -> str:
        """Why it can't be compared; empty if it can."""
        if self.status == Cycle.CANCELLED:
            return "cancelled"
        if self.is_rerun:
            return "rerun"
        return "given_up" if self.has_reason else ""


@dataclass(slots=True)
class Rows:
    """What is on record, as read."""

    hidden: bool
    cycles: list[_Row]
    patch: Changes
    instructions: list[tuple[Any, ...]] = field(default_factory=list)
    tiers: list[tuple[Any, ...]] = field(default_factory=list)
    attempts: list[tuple[Any, ...]] = field(default_factory=list)
    deliveries: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def compared(self) -> list[_Row]:
        """The cycles that can be compared."""
        return [row for row in self.cycles if not row.left_out]


#: Settings, normalization's processor, and by place whether the value is the proposed one.
_Instruction = tuple[Settings, str, Mapping[tuple[str, ...], bool]]


def read_base(proposal: StrategyProposal) -> Base | None:
    """Return the document at the proposal's revision, or None if there is none."""
    kind, name = documents.document_of(proposal)
    owner = kind.owner
    row = (
        kind.revisions.objects.filter(
            **{f"{owner}__{kind.key}": name}, number=proposal.base_revision
        )
        .annotate(now=Now())
        .values_list("document", f"{owner}__revision", f"{owner}__hidden", "now")
        .first()
    )
    return None if row is None else Base(*row)


def read_rows(
    proposal: StrategyProposal,
    patch: Changes,
    *,
    most: int,
    until: datetime,
    namespaces: Collection[str] | None,
) -> Rows:
    """Read the newest ``most`` cycles that had ended at ``until``, and what they did."""
    read = READ_CYCLES.rows(
        profile=proposal.profile_id,
        run_profile=proposal.run_profile_id,
        until=until,
        namespaces=None if namespaces is None else sorted(namespaces),
        most=most,
    )
    # Without a cycle there is one row, of nulls.
    cycles = [_Row(*columns) for _, *columns in read if columns[0] is not None]
    rows = Rows(read[0][0], cycles, patch)
    ids = [row.id for row in rows.compared]
    if ids:
        rows.instructions = READ_SETTINGS.rows(
            # One cycle for each instruction: the documents may be large.
            cycles=list({row.instruction_id: row.id for row in rows.compared}.values()),
            places=json.dumps(
                [{"path": list(path), "value": value} for path, value in patch.places]
            ),
        )
        rows.tiers = READ_TIERS.rows(cycles=ids)
        rows.attempts = READ_ATTEMPTS.rows(cycles=ids) if patch.needs_durations else []
        kept = None if patch.targets is None else sorted(patch.targets)
        rows.deliveries = READ_DELIVERIES.rows(cycles=ids, kept=kept)
    return rows


def of_rows(proposal: StrategyProposal, rows: Rows) -> Record:
    """Return the cycles of these rows."""
    own = "profile_revision" if proposal.run_profile_id is None else "run_profile_revision"
    return Record(
        _cycles(rows),
        Counter(row.left_out for row in rows.cycles if row.left_out),
        rows.hidden,
        sum(getattr(row, own) != proposal.base_revision for row in rows.compared),
    )


def _cycles(rows: Rows) -> list[RecordedCycle]:
    instructions = dict(_instructions(rows))
    tiers, deliveries = _tiers(rows), _deliveries(rows)
    return [
        RecordedCycle(
            row.id,
            row.namespace,
            row.run_profile_id,
            row.status,
            row.trigger,
            row.call,
            row.created_at,
            row.input_is_instruction,
            *instructions[row.instruction_id],
            tiers=tiers[row.id],
            deliveries=deliveries[row.id],
        )
        for row in rows.compared
    ]


def _instructions(rows: Rows) -> Iterator[tuple[str, _Instruction]]:
    paths = [path for path, _ in rows.patch.places]
    for instruction_id, text, already in rows.instructions:
        document = json.loads(text)
        yield (
            instruction_id,
            (
                changes.settings_of(document),
                rules.processor_name(document),
                dict(zip(paths, already, strict=True)),
            ),
        )


def _tiers(rows: Rows) -> dict[UUID, dict[int, RecordedTier]]:
    durations = {
        (cycle_id, tier): [milliseconds / 1000 for milliseconds in took]
        for cycle_id, tier, took in rows.attempts
    }
    tiers: dict[UUID, dict[int, RecordedTier]] = defaultdict(dict)
    for cycle_id, tier, transformer, status, attempts, has_item, size in rows.tiers:
        tiers[cycle_id][tier] = RecordedTier(
            tier,
            transformer,
            status == Tier.SUCCESS,
            attempts,
            has_item,
            size,
            durations.get((cycle_id, tier)),
        )
    return tiers


def _deliveries(rows: Rows) -> dict[UUID, list[RecordedDelivery]]:
    deliveries: dict[UUID, list[RecordedDelivery]] = defaultdict(list)
    for cycle_id, tier, key, status, *rest in rows.deliveries:
        deliveries[cycle_id].append(RecordedDelivery(tier, key, Job(status), *rest))
    return deliveries
