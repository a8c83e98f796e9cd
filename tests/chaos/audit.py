"""The audit after a scenario: what must hold in the database and at the sink.

Each violation is a sentence that starts with the number of its rule:

I1  Every accepted trigger has a cycle that ended.
I2  A namespace never has two active cycles.
I3  Nothing exists or is done twice; checkpoints are complete and in order.
I4  Requests match receipts; nothing is sent after a recorded success.
I5  A delivered job means that the sink received the stored bytes.
I6  A receipt is older than its request.
I7  Fencing tokens only grow; an old token writes nothing.
I8  Append-only rows don't change.
I10 Every dead job has a dead letter.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from tests.chaos.sink import Entry
from tests.chaos.testbed import Testbed

STAGES = (
    "cycle_started",
    "initiation_complete",
    "tier1_complete",
    "tier2_complete",
    "tier3_complete",
    "normalization_complete",
    "dispatch_enqueued",
    "dispatch_complete",
    "cycle_finished",
)

OVERLAP = """SELECT a.namespace, a.id, b.id
FROM orbit_cyclerun a
JOIN orbit_cyclerun b ON a.namespace = b.namespace AND a.id < b.id
WHERE a.created_at < coalesce(b.finished_at, now())
  AND b.created_at < coalesce(a.finished_at, now())"""

UNDELIVERED = "SELECT id, cycle_id, status FROM orbit_dispatchjob WHERE status <> 'delivered'"

DUPLICATES = {
    "initiations of one hash": """SELECT initiation_hash FROM orbit_initiation
        GROUP BY 1 HAVING count(*) > 1""",
    "transformations of one tier": """SELECT cycle_id, tier FROM orbit_transformation
        GROUP BY 1, 2 HAVING count(*) > 1""",
    "batches of one cycle": """SELECT cycle_id FROM orbit_normalizationbatch
        GROUP BY 1 HAVING count(*) > 1""",
    "items of one transformation": """SELECT transformation_id FROM orbit_normalizationitem
        GROUP BY 1 HAVING count(*) > 1""",
    "jobs of one item and endpoint": """SELECT normalization_item_id, endpoint_key
        FROM orbit_dispatchjob WHERE requeue_of_id IS NULL GROUP BY 1, 2 HAVING count(*) > 1""",
    "receipts of one attempt": """SELECT job_id, attempt FROM orbit_deliveryreceipt
        GROUP BY 1, 2 HAVING count(*) > 1""",
    "checkpoints of one stage": """SELECT cycle_id, stage FROM orbit_cyclecheckpoint
        GROUP BY 1, 2 HAVING count(*) > 1""",
}

# A resume records its token. A later write with a smaller token is from a zombie.
STALE_WRITES = """WITH resumes AS (
    SELECT cycle_id, (data->>'token')::bigint AS token, created_at AS at
    FROM orbit_executionrecord
    WHERE event = 'cycle_resumed'
)
SELECT 'checkpoint ' || k.stage, k.cycle_id
FROM orbit_cyclecheckpoint k
JOIN resumes t ON t.cycle_id = k.cycle_id
WHERE k.fencing_token < t.token AND k.created_at > t.at
UNION ALL
SELECT 'attempt ' || r.attempt, j.cycle_id
FROM orbit_deliveryreceipt r
JOIN orbit_dispatchjob j ON j.id = r.job_id
JOIN resumes t ON t.cycle_id = j.cycle_id
WHERE r.fencing_token < t.token AND r.started_at > t.at"""

RECEIPTS = """SELECT j.delivery_id::text, r.attempt, r.status, r.body_sha256, i.sha256,
    extract(epoch FROM r.started_at)::float8, extract(epoch FROM r.finished_at)::float8,
    r.fencing_token
FROM orbit_deliveryreceipt r
JOIN orbit_dispatchjob j ON j.id = r.job_id
JOIN orbit_normalizationitem i ON i.id = j.normalization_item_id
ORDER BY j.id, r.attempt"""

ENDED_TIERS = """SELECT t.id::text, extract(epoch FROM k.created_at)::float8
FROM orbit_transformation t
JOIN orbit_cyclecheckpoint k
  ON k.cycle_id = t.cycle_id AND k.stage = 'tier' || t.tier || '_complete'"""

DEAD_WITHOUT_LETTER = """SELECT j.id, j.status, l.status
FROM orbit_dispatchjob j
FULL JOIN orbit_deadletterdispatch l ON l.job_id = j.id
WHERE (j.status = 'dead') IS DISTINCT FROM (l.id IS NOT NULL AND l.status <> 'delivered_late')"""

APPEND_ONLY = (
    "orbit_cyclecheckpoint",
    "orbit_executionrecord",
    "orbit_valueledgerentry",
    "governance_audittrailentry",
)


class ReceiptRow(NamedTuple):
    """One attempt as the database records it. Times are Unix time."""

    attempt: int
    status: str
    body_sha256: str
    stored_sha256: str
    started: float
    finished: float | None
    token: int


@dataclass
class Audit:
    """The audit of one testbed. It can be repeated, and remembers the append-only rows.

    Cycles in ``unlucky`` need not succeed.
    """

    testbed: Testbed
    unlucky: set[UUID] = field(default_factory=set)
    lost: int = 0
    doubled: int = 0
    _append_only: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))

    def look(self) -> list[str]:
        """Return the violations."""
        self.lost = self.doubled = 0
        violations = [
            *self._unfinished_cycles(),
            *self._overlaps(),
            *self._duplicates(),
            *self._checkpoints(),
            *self._repeated_tiers(),
            *self._requests(),
            *self._stale_writes(),
            *self._changed_rows(),
            *self._dead_letters(),
            *self.testbed.monitor.violations,
        ]
        self.testbed.lost, self.testbed.doubled = self.lost, self.doubled
        return violations

    def _unfinished_cycles(self) -> list[str]:
        cycles = self.testbed.query(
            "SELECT id, status, next_due_at IS NOT NULL, lease_owner FROM orbit_cyclerun"
        )
        ids = {row[0] for row in cycles}
        violations = [
            f"I1: the accepted cycle {cycle} doesn't exist"
            for cycle in self.testbed.accepted
            if cycle not in ids
        ]
        violations += [
            f"I1: the cycle {cycle} is {status}, due {due}, held by {owner}"
            for cycle, status, due, owner in cycles
            if due or owner or status in {"queued", "pending", "running"}
        ]
        violations += [
            f"I1: the cycle {cycle} ended as {status}"
            for cycle, status, due, owner in cycles
            if status in {"partial_success", "failed", "cancelled"} and cycle not in self.unlucky
        ]
        violations += [
            f"I1: the job {job} of {cycle} is {status}"
            for job, cycle, status in self.testbed.query(UNDELIVERED)
            if cycle not in self.unlucky
        ]
        self.lost += len(violations)
        return violations

    def _overlaps(self) -> list[str]:
        return [
            f"I2: {a} and {b} ran at once in {namespace}"
            for namespace, a, b in self.testbed.query(OVERLAP)
        ]

    def _duplicates(self) -> list[str]:
        return [
            f"I3: {len(duplicates)} times more than one of the {what}: {duplicates[0]}"
            for what, statement in DUPLICATES.items()
            if (duplicates := self.testbed.query(statement))
        ]

    def _checkpoints(self) -> list[str]:
        violations, checkpoints = [], defaultdict(list)
        for cycle, stage, token in self.testbed.query(
            "SELECT cycle_id, stage, fencing_token FROM orbit_cyclecheckpoint ORDER BY created_at"
        ):
            checkpoints[cycle].append((STAGES.index(stage), token))
        for (cycle,) in self.testbed.query(
            "SELECT id FROM orbit_cyclerun WHERE status IN ('success', 'partial_success')"
        ):
            places = {place for place, _ in checkpoints[cycle]}
            if missing := [name for place, name in enumerate(STAGES) if place not in places]:
                violations.append(f"I3: {cycle} lacks {missing}")
        for cycle, marks in checkpoints.items():
            tokens = [token for _, token in sorted(marks)]
            if tokens != sorted(tokens):
                violations.append(f"I7: the checkpoints of {cycle} have the tokens {tokens}")
        return violations

    def _repeated_tiers(self) -> list[str]:
        ended = dict(self.testbed.query(ENDED_TIERS))
        return [
            f"I3: tier {entry.tier} (transformation {entry.key}) was requested after its checkpoint"
            for entry in list(self.testbed.sink.journal)
            if entry.tier and entry.arrived > ended.get(entry.key, entry.arrived)
        ]

    def _requests(self) -> list[str]:
        requests: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.testbed.sink.deliveries():
            requests[entry.key].append(entry)
        receipts: dict[str, list[ReceiptRow]] = defaultdict(list)
        for key, *row in self.testbed.query(RECEIPTS):
            receipts[key].append(ReceiptRow(*row))
        violations = [
            f"I4: the sink got the key {key}, which no job has"
            for key in requests
            if key not in receipts
        ]
        for key, key_receipts in receipts.items():
            entries = sorted(requests[key], key=lambda entry: entry.arrived)
            violations += _compare(key, entries, {row.attempt: row for row in key_receipts})
            violations += self._sent_again(key, entries, key_receipts)
            tokens = [row.token for row in sorted(key_receipts)]
            if tokens != sorted(tokens):
                violations.append(f"I7: the attempts of {key} have the tokens {tokens}")
        return violations

    def _sent_again(self, key: str, entries: list[Entry], receipts: list[ReceiptRow]) -> list[str]:
        """Report requests after the first success on record."""
        successes = [row.finished for row in receipts if row.status == "delivered" and row.finished]
        if not successes:
            return []
        violations = [
            f"I4: {key} was sent again (attempt {entry.attempt})"
            f" {entry.arrived - min(successes):.3f} s after its success was on record"
            for entry in entries
            if entry.arrived > min(successes)
        ]
        self.doubled += len(violations)
        return violations

    def _stale_writes(self) -> list[str]:
        return [
            f"I7: {what} of {cycle} was written with an old token"
            for what, cycle in self.testbed.query(STALE_WRITES)
        ]

    def _changed_rows(self) -> list[str]:
        violations = []
        for table in APPEND_ONLY:
            digests = dict(self.testbed.query(f"SELECT id::text, md5(t::text) FROM {table} t"))
            before = self._append_only[table]
            if changed := [key for key, digest in before.items() if digests.get(key) != digest]:
                violations.append(
                    f"I8: {len(changed)} rows of {table} changed or disappeared: {changed[0]}"
                )
            before.update(digests)
        return violations

    def _dead_letters(self) -> list[str]:
        return [
            f"I10: the job {job} is {status}, its dead letter {letter}"
            for job, status, letter in self.testbed.query(DEAD_WITHOUT_LETTER)
        ]


def _compare(key: str, entries: list[Entry], receipts: dict[int, ReceiptRow]) -> list[str]:
    """Compare the requests of one key with its receipts."""
    violations = [
        f"I4: attempt {attempt} of {key} was sent {count} times"
        for attempt, count in Counter(entry.attempt for entry in entries).items()
        if count > 1
    ]
    sent = {entry.attempt: entry for entry in entries}
    for attempt, entry in sent.items():
        if attempt not in receipts:
            violations.append(f"I6: attempt {attempt} of {key} was sent without a receipt")
            continue
        row = receipts[attempt]
        if row.status == "unsent":
            violations.append(f"I4: attempt {attempt} of {key} was sent, and is recorded as unsent")
        if entry.arrived < row.started:
            violations.append(
                f"I6: attempt {attempt} of {key} was sent {row.started - entry.arrived:.4f} s"
                " before its receipt"
            )
        if entry.sha256 and not entry.sha256 == row.body_sha256 == row.stored_sha256:
            violations.append(f"I5: attempt {attempt} of {key} sent other bytes than those stored")
    for attempt, row in receipts.items():
        if row.status == "sending":
            violations.append(f"I4: attempt {attempt} of {key} is still recorded as sending")
        if row.status == "delivered" and (attempt not in sent or not sent[attempt].processed):
            violations.append(
                f"I5: attempt {attempt} of {key} is delivered, but the sink didn't process it"
            )
    return violations
