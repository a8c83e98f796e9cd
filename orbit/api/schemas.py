"""How the rows of a cycle look in answers."""

from governance.rest.fields import Fields, computed, each, field, nested, under
from governance.rest.schemas import (
    FREE,
    NUMBER,
    SHA256,
    TEXT,
    TIME,
    TRUTH,
    UUID,
    WHOLE,
    many,
    maybe,
    one_of,
    record,
)
from orbit.states import Attempt, Cycle, Job, Letter, Tier, Trigger

CYCLE = Fields(
    "Cycle",
    id=field(UUID, "pk"),
    namespace=field(TEXT, "namespace_id"),
    status=one_of(Cycle),
    trigger=one_of(Trigger),
    triggered_by=TEXT,
    profile_id=maybe(TEXT),
    run_profile_id=maybe(TEXT),
    created_at=TIME,
    started_at=maybe(TIME),
    finished_at=maybe(TIME),
    reason=TEXT,
    rerun_of=field(maybe(UUID), "rerun_of_id"),
)
_TIER = Fields(
    "Tier",
    id=field(UUID, "pk"),
    tier=WHOLE,
    transformer=TEXT,
    status=one_of(Tier),
    attempts=WHOLE,
    next_attempt_at=maybe(TIME),
    output_content_type=TEXT,
    output_sha256=maybe(SHA256),
    taken_from=field(maybe(UUID), "taken_from_id"),
    error=TEXT,
    started_at=maybe(TIME),
    finished_at=maybe(TIME),
)
_ITEM = Fields(
    "Item",
    id=field(UUID, "pk"),
    transformation_id=UUID,
    content_type=TEXT,
    sha256=SHA256,
    created_at=TIME,
)
_JOB = Fields(
    "Job",
    id=field(UUID, "pk"),
    cycle_run_id=field(UUID, "cycle_id"),
    normalization_item_id=UUID,
    endpoint_key=TEXT,
    host=field(TEXT, "snapshot.host"),
    delivery_id=UUID,
    status=one_of(Job),
    attempts=WHOLE,
    max_retries=WHOLE,
    next_attempt_at=maybe(TIME),
    requeue_of=field(maybe(UUID), "requeue_of_id"),
    last_error=TEXT,
    created_at=TIME,
    finished_at=maybe(TIME),
)
_RECEIPT = Fields(
    "Receipt",
    id=field(UUID, "pk"),
    job_id=UUID,
    attempt=WHOLE,
    status=one_of(Attempt),
    started_at=TIME,
    finished_at=maybe(TIME),
    status_code=maybe(WHOLE),
    error_class=maybe(TEXT),
    error=TEXT,
    latency_ms=maybe(NUMBER),
    response_excerpt=TEXT,
    body_sha256=SHA256,
)
#: A dead letter on its cycle's page.
LETTER = Fields(
    id=field(UUID, "pk"),
    job_id=UUID,
    cycle_run_id=field(UUID, "cycle_id"),
    namespace=TEXT,
    endpoint_key=TEXT,
    status=one_of(Letter),
    reason=TEXT,
    last_error=TEXT,
    status_code=maybe(WHOLE),
    attempts=WHOLE,
    first_failed_at=maybe(TIME),
    last_failed_at=maybe(TIME),
    created_at=TIME,
    requeued_job_id=maybe(UUID),
    resolved_by=TEXT,
    resolved_at=maybe(TIME),
    resolved_reason=TEXT,
)
_RECORD = Fields(
    "Record",
    id=field(UUID, "pk"),
    stage=TEXT,
    event=TEXT,
    level=TEXT,
    message=TEXT,
    data=FREE,
    created_at=TIME,
)
#: As it is stored with the cycle.
_STAGE = record("Stage", name=TEXT, ok=TRUTH, done=WHOLE, total=WHOLE, skipped=TRUTH)
_TAKEN_OVER = record(
    items=WHOLE,
    wanted=WHOLE,
    delivered=WHOLE,
    tiers=many(WHOLE),
    normalize=many(WHOLE),
    valued=TRUTH,
)
#: Shows an ``orbit.cycles.detail.CycleDetail``; payloads by size and hash only.
CYCLE_DETAIL = Fields(
    "CycleDetail",
    **under("cycle", CYCLE),
    profile_revision=field(maybe(WHOLE), "cycle.profile_revision"),
    run_profile_revision=field(maybe(WHOLE), "cycle.run_profile_revision"),
    instruction_id=field(maybe(TEXT), "cycle.instruction_id"),
    initiation_hash=field(SHA256, "cycle.initiation_hash"),
    input=nested(Fields(content_type=TEXT, sha256=SHA256, size=WHOLE), "input"),
    next_due_at=field(maybe(TIME), "cycle.next_due_at"),
    lease_expires_at=field(maybe(TIME), "cycle.lease_expires_at"),
    fencing_token=field(WHOLE, "cycle.fencing_token"),
    resumes=field(WHOLE, "cycle.resumes"),
    reruns=field(many(UUID), lambda detail: [cycle.pk for cycle in detail.reruns]),
    taken_over=field(maybe(_TAKEN_OVER), "cycle.takeover"),
    stages=many(_STAGE),
    deliveries=nested(
        Fields(total=WHOLE, delivered=WHOLE, dead=WHOLE, cancelled=WHOLE, open=WHOLE), "deliveries"
    ),
    tiers=each(_TIER, "tiers"),
    items=each(_ITEM, "items"),
    jobs=each(_JOB, "jobs"),
    receipts=each(_RECEIPT, "receipts"),
    dead_letters=each(LETTER, "dead_letters"),
    records=each(_RECORD, "records"),
    checkpoints=each(Fields(stage=TEXT, created_at=TIME), "checkpoints"),
    truncated=field(many(TEXT), lambda detail: sorted(detail.cut)),
    verdict=computed(TEXT),
)
