"""What can be found: one row for each kind of object and each column that finds it."""

from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import Model, Q

from advisory.models import AdvisorySignal, StrategyProposal
from governance.access.actors import Actor
from governance.access.roles import Scope
from governance.models import Alert, ApiToken, AuditTrailEntry, Namespace, OperationRun
from governance.operations import ledger
from orbit.models import (
    AppliedFiles,
    ConductorRun,
    ConductorTask,
    CronTick,
    CycleRun,
    DeadLetterDispatch,
    DeliveryReceipt,
    DispatchJob,
    Initiation,
    NormalizationItem,
    Profile,
    RunProfile,
    Transformation,
)
from orbit.schedules import rows as schedules
from orbit_site.search.terms import Form

Sees = Callable[[Actor], Q]
_NOTHING = Q(pk__in=[])


def _workspace(actor: Actor) -> Q:
    return Q() if actor.namespaces is None else _NOTHING


def _administrator(actor: Actor) -> Q:
    return _workspace(actor) if actor.may(Scope.ADMINISTER) else _NOTHING


def _of_visible_schedules(actor: Actor) -> Q:
    return schedules.names_visible(actor, "schedule")


def _all_users(_: Actor) -> Q:
    return Q()


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows that are found by ``field``, which has an index; shown under ``group``."""

    group: str
    model: type[Model]
    form: Form
    field: str
    #: The path to the name of the namespace, by which users see them.
    namespace: str = ""
    #: Who sees them instead.
    sees: Sees | None = None
    #: A column to show beside what was found.
    title: str = "pk"
    #: The page of another table, and the column with its key.
    page: str = ""
    target: str = "pk"

    @property
    def page_name(self) -> str:
        """The name of the page."""
        return self.page or f"{self.model._meta.app_label}_{self.model._meta.model_name}_change"

    def visible(self, actor: Actor) -> Q:
        """Return the condition for rows that ``actor`` sees."""
        return actor.filter(self.namespace) if self.sees is None else self.sees(actor)


_OF_CYCLE, _OF_BATCH, _OF_RUN = "cycle__namespace", "batch__cycle__namespace", "run__namespace"
_OF_JOB, _NAME = "job__cycle__namespace", "namespace__name"
_NS, _JOB_PAGE, _STATUS = "namespace", "orbit_dispatchjob_change", "status"
_JOBS, _ITEMS, _ENTRIES = "Deliveries", "Items", "Audit entries"
U, L, S, N, K = Form.UUID, Form.ULID, Form.SHA256, Form.NUMBER, Form.KEY

# fmt: off
KINDS = (
    Kind("Cycles", CycleRun, U, "id", _NS, title=_STATUS),
    Kind(_JOBS, DispatchJob, U, "id", _OF_CYCLE, title=_STATUS),
    Kind(_JOBS, DispatchJob, U, "delivery_id", _OF_CYCLE, title=_STATUS),
    Kind(_JOBS, DispatchJob, S, "normalization_item__sha256", _OF_CYCLE, title=_STATUS),
    Kind("Attempts", DeliveryReceipt, U, "id", _OF_JOB, None, _STATUS, _JOB_PAGE, "job_id"),
    Kind("Dead letters", DeadLetterDispatch, U, "id", _NS, title=_STATUS),
    Kind(_ITEMS, NormalizationItem, U, "id", _OF_BATCH, title="content_type"),
    Kind(_ITEMS, NormalizationItem, S, "sha256", _OF_BATCH, title="content_type"),
    Kind("Tiers", Transformation, U, "id", _OF_CYCLE, title=_STATUS),
    Kind("Initiations", Initiation, U, "id", _NS, title="initiation_hash"),
    Kind("Initiations", Initiation, S, "initiation_hash", _NS),
    Kind("Proposals", StrategyProposal, U, "id", _NS, title="title"),
    Kind("Signals", AdvisorySignal, U, "id", _NS, title="signal"),
    Kind("Operations", OperationRun, U, "id", _NAME, ledger.visible, title="type"),
    Kind("Ticks", CronTick, U, "id", "", _of_visible_schedules, title="schedule"),
    Kind("Alerts", Alert, U, "id", _NS, title="summary", page="alerts", target=""),
    Kind("Namespaces", Namespace, U, "external_id", "name", title="name"),
    Kind("Conductor runs", ConductorRun, L, "id", _NS, title="name"),
    Kind("Conductor tasks", ConductorTask, L, "id", _OF_RUN, title="name"),
    Kind("Configurations", AppliedFiles, S, "sha256", "", _workspace, "pk", "config_drift", ""),
    Kind(_ENTRIES, AuditTrailEntry, S, "hash", _NS, title="action"),
    Kind(_ENTRIES, AuditTrailEntry, N, "id", _NS, title="action"),
    Kind(_ENTRIES, AuditTrailEntry, K, "request_id", _NS, title="action"),
    Kind("Profiles", Profile, K, "profile_id", "", _all_users, title="label"),
    Kind("Run profiles", RunProfile, K, "run_profile_id", _NS, title="state"),
    Kind("Namespaces", Namespace, K, "name", "name", title="external_id"),
    Kind("API tokens", ApiToken, K, "prefix", "", _administrator, title="name"),
)
# fmt: on
