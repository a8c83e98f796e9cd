"""The tables of orbit."""

from orbit.models.conductor import (
    ConductorParent,
    ConductorRun,
    ConductorTally,
    ConductorTask,
)
from orbit.models.cycle import CycleRun, SkipNotice
from orbit.models.dispatch import (
    DeadLetterDispatch,
    DeliveryReceipt,
    DispatchJob,
    EndpointSnapshot,
    EndpointState,
)
from orbit.models.pipeline import Initiation, NormalizationBatch, NormalizationItem, Transformation
from orbit.models.profile import (
    AppliedFiles,
    Profile,
    ProfileRevision,
    RunProfile,
    RunProfileRevision,
)
from orbit.models.record import CycleCheckpoint, ExecutionRecord, ValueLedgerEntry
from orbit.models.retention import RetentionMark
from orbit.models.rollup import CycleDay, DeliveryHour, OverviewFacts, RollUpMark
from orbit.models.schedule import ClusterNode, CronTick
from orbit.models.seen import SeenMark

__all__ = [
    "AppliedFiles",
    "ClusterNode",
    "ConductorParent",
    "ConductorRun",
    "ConductorTally",
    "ConductorTask",
    "CronTick",
    "CycleCheckpoint",
    "CycleDay",
    "CycleRun",
    "DeadLetterDispatch",
    "DeliveryHour",
    "DeliveryReceipt",
    "DispatchJob",
    "EndpointSnapshot",
    "EndpointState",
    "ExecutionRecord",
    "Initiation",
    "NormalizationBatch",
    "NormalizationItem",
    "OverviewFacts",
    "Profile",
    "ProfileRevision",
    "RetentionMark",
    "RollUpMark",
    "RunProfile",
    "RunProfileRevision",
    "SeenMark",
    "SkipNotice",
    "Transformation",
    "ValueLedgerEntry",
]
