"""The oracle: what must hold after every scenario, in the rows and at the sink. Each violation is a sentence that starts with its number.

I1 every accepted trigger has a cycle that ended. I2 never two active cycles in a namespace. I3 nothing is there or done twice,
checkpoints are whole and in order. I4 requests are what receipts say, none after a recorded success. I5 delivered means that the sink took those bytes.
I6 a receipt is older than its request. I7 tokens only grow, and nothing is written by an old one. I8 append-only rows stay as they were.
I10 dead jobs are dead letters.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from uuid import UUID

from tests.chaos.sink import Entry
from tests.chaos.stand import Stand

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

OVERLAP = """SELECT a.namespace, a.id, b.id FROM orbit_cyclerun a JOIN orbit_cyclerun b ON a.namespace = b.namespace AND a.id < b.id
WHERE a.created_at < coalesce(b.finished_at, now()) AND b.created_at < coalesce(a.finished_at, now())"""

UNDONE = "SELECT id, cycle_id, status FROM orbit_dispatchjob WHERE status <> 'delivered'"

TWICE = {
    "initiations of one hash": "SELECT initiation_hash FROM orbit_initiation GROUP BY 1 HAVING count(*) > 1",
    "transformations of one tier": "SELECT cycle_id, tier FROM orbit_transformation GROUP BY 1, 2 HAVING count(*) > 1",
    "batches of one cycle": "SELECT cycle_id FROM orbit_normalizationbatch GROUP BY 1 HAVING count(*) > 1",
    "items of one transformation": "SELECT transformation_id FROM orbit_normalizationitem GROUP BY 1 HAVING count(*) > 1",
    "jobs of one item and endpoint": """SELECT normalization_item_id, endpoint_key FROM orbit_dispatchjob WHERE requeue_of_id IS NULL
        GROUP BY 1, 2 HAVING count(*) > 1""",
    "receipts of one attempt": "SELECT job_id, attempt FROM orbit_deliveryreceipt GROUP BY 1, 2 HAVING count(*) > 1",
    "checkpoints of one stage": "SELECT cycle_id, stage FROM orbit_cyclecheckpoint GROUP BY 1, 2 HAVING count(*) > 1",
}

# A resume records its token. A later write with a smaller token is from a zombie.
STALE = """WITH taken AS (SELECT cycle_id, (data->>'token')::bigint AS token, created_at AS at FROM orbit_executionrecord WHERE event = 'cycle_resumed')
SELECT 'checkpoint ' || k.stage, k.cycle_id FROM orbit_cyclecheckpoint k JOIN taken t ON t.cycle_id = k.cycle_id
    WHERE k.fencing_token < t.token AND k.created_at > t.at
UNION ALL SELECT 'attempt ' || r.attempt, j.cycle_id FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = r.job_id
    JOIN taken t ON t.cycle_id = j.cycle_id WHERE r.fencing_token < t.token AND r.started_at > t.at"""

RECEIPTS = """SELECT j.delivery_id::text, r.attempt, r.status, r.error_class, r.body_sha256, extract(epoch FROM r.started_at)::float8,
    extract(epoch FROM r.finished_at)::float8, r.fencing_token, j.id, i.sha256
FROM orbit_deliveryreceipt r JOIN orbit_dispatchjob j ON j.id = r.job_id JOIN orbit_normalizationitem i ON i.id = j.normalization_item_id
ORDER BY j.id, r.attempt"""

ENDED_TIERS = """SELECT t.id::text, extract(epoch FROM k.created_at)::float8 FROM orbit_transformation t
JOIN orbit_cyclecheckpoint k ON k.cycle_id = t.cycle_id AND k.stage = 'tier' || t.tier || '_complete'"""

FROZEN = (
    "orbit_cyclecheckpoint",
    "orbit_executionrecord",
    "orbit_valueledgerentry",
    "governance_audittrailentry",
)


@dataclass
class Audit:
    """The oracle of one stand; it may be asked again and again, and remembers the append-only rows. Cycles in ``unlucky`` needn't succeed."""

    stand: Stand
    unlucky: set[UUID] = field(default_factory=set)
    lost: int = 0
    doubled: int = 0
    _frozen: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))

    def look(self) -> list[str]:
        """Return what is wrong."""
        self.lost = self.doubled = 0
        found = [
            *self._ended(),
            *self._once(),
            *self._ordered(),
            *self._asked(),
            *self._wire(),
            *self._stale(),
            *self._kept(),
            *self._letters(),
            *self.stand.monitor.violations,
        ]
        self.stand.lost, self.stand.doubled = self.lost, self.doubled
        return found

    def _ended(self) -> list[str]:
        rows = self.stand.query(
            "SELECT id, status, next_due_at IS NOT NULL, lease_owner FROM orbit_cyclerun"
        )
        known = {row[0] for row in rows}
        missing = [
            f"I1: the accepted cycle {cycle} isn't there"
            for cycle in self.stand.accepted
            if cycle not in known
        ]
        open_ = [
            f"I1: the cycle {cycle} is {status}, due {due}, held by {owner}"
            for cycle, status, due, owner in rows
            if due or owner or status in {"queued", "pending", "running"}
        ]
        self.lost += len(missing) + len(open_)
        failed = [
            f"I1: the cycle {cycle} ended as {status}"
            for cycle, status, due, owner in rows
            if status in {"partial_success", "failed", "cancelled"} and cycle not in self.unlucky
        ]
        undone = [
            f"I1: the job {job} of {cycle} is {status}"
            for job, cycle, status in self.stand.query(UNDONE)
            if cycle not in self.unlucky
        ]
        self.lost += len(failed) + len(undone)
        return (
            missing
            + open_
            + failed
            + undone
            + [
                f"I2: {a} and {b} ran at once in {namespace}"
                for namespace, a, b in self.stand.query(OVERLAP)
            ]
        )

    def _once(self) -> list[str]:
        return [
            f"I3: {len(found)} times more than one of the {what}: {found[0]}"
            for what, text in TWICE.items()
            if (found := self.stand.query(text))
        ]

    def _ordered(self) -> list[str]:
        found, marks = [], defaultdict(list)
        for cycle, stage, token in self.stand.query(
            "SELECT cycle_id, stage, fencing_token FROM orbit_cyclecheckpoint ORDER BY created_at"
        ):
            marks[cycle].append((STAGES.index(stage), token))
        for (cycle,) in self.stand.query(
            "SELECT id FROM orbit_cyclerun WHERE status IN ('success', 'partial_success')"
        ):
            stages = {place for place, _ in marks[cycle]}
            if len(stages) != len(STAGES):
                found.append(
                    f"I3: {cycle} lacks {[name for place, name in enumerate(STAGES) if place not in stages]}"
                )
        for cycle, line in marks.items():
            tokens = [token for _, token in sorted(line)]
            if tokens != sorted(tokens):
                found.append(f"I7: the checkpoints of {cycle} carry the tokens {tokens}")
        return found

    def _asked(self) -> list[str]:
        ended = dict(self.stand.query(ENDED_TIERS))
        return [
            f"I3: tier {entry.tier} was asked again (transformation {entry.key}) after its checkpoint was on record"
            for entry in list(self.stand.sink.journal)
            if entry.tier and entry.arrived > ended.get(entry.key, entry.arrived)
        ]

    def _wire(self) -> list[str]:
        entries: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.stand.sink.deliveries():
            entries[entry.key].append(entry)
        receipts = defaultdict(list)
        for key, *row in self.stand.query(RECEIPTS):
            receipts[key].append(row)
        found = [
            f"I4: the sink got the key {key}, which no job has"
            for key in entries
            if key not in receipts
        ]
        for key, rows in receipts.items():
            got = sorted(entries[key], key=lambda entry: entry.arrived)
            said = {attempt: row for attempt, *row in rows}
            found += _matched(key, got, said)
            wins = [row[4] for row in said.values() if row[0] == "delivered"]
            repeated = [entry for entry in got if wins and entry.arrived > min(wins)]
            found += [
                f"I4: {key} was sent again (attempt {entry.attempt}) {entry.arrived - min(wins):.3f} s after its success was on record"
                for entry in repeated
            ]
            self.doubled += len(repeated)
            tokens = [row[5] for _, row in sorted(said.items())]
            if tokens != sorted(tokens):
                found.append(f"I7: the attempts of {key} carry the tokens {tokens}")
        return found

    def _stale(self) -> list[str]:
        return [
            f"I7: {what} of {cycle} was written by a token that was no longer its"
            for what, cycle in self.stand.query(STALE)
        ]

    def _kept(self) -> list[str]:
        found = []
        for table in FROZEN:
            now = dict(self.stand.query(f"SELECT id::text, md5(t::text) FROM {table} t"))
            before = self._frozen[table]
            if changed := [key for key, digest in before.items() if now.get(key) != digest]:
                found.append(
                    f"I8: {len(changed)} rows of {table} changed or went, such as {changed[0]}"
                )
            before.update(now)
        return found

    def _letters(self) -> list[str]:
        odd = """SELECT j.id, j.status, l.status FROM orbit_dispatchjob j FULL JOIN orbit_deadletterdispatch l ON l.job_id = j.id
            WHERE (j.status = 'dead') IS DISTINCT FROM (l.id IS NOT NULL AND l.status <> 'delivered_late')"""
        return [
            f"I10: the job {job} is {status}, its dead letter {letter}"
            for job, status, letter in self.stand.query(odd)
        ]


def _matched(key: str, got: list[Entry], said: dict[int, list[object]]) -> list[str]:
    """Hold the requests of one key against its receipts."""
    found = [
        f"I4: attempt {attempt} of {key} was on the wire {count} times"
        for attempt, count in Counter(entry.attempt for entry in got).items()
        if count > 1
    ]
    wire = {entry.attempt: entry for entry in got}
    for attempt, entry in wire.items():
        if attempt not in said:
            found.append(f"I6: attempt {attempt} of {key} was sent without a receipt")
            continue
        status, _, body, started, _, _, _, stored = said[attempt]
        if status == "unsent":
            found.append(f"I4: attempt {attempt} of {key} is called unsent, and was sent")
        if entry.arrived < float(str(started)):
            found.append(
                f"I6: attempt {attempt} of {key} was sent {float(str(started)) - entry.arrived:.4f} s before its receipt"
            )
        if entry.sha256 and not entry.sha256 == body == stored:
            found.append(f"I5: attempt {attempt} of {key} carried other bytes than those stored")
    for attempt, (status, *_) in said.items():
        if status == "sending":
            found.append(f"I4: attempt {attempt} of {key} is still called sending")
        if status == "delivered" and (attempt not in wire or not wire[attempt].processed):
            found.append(
                f"I5: attempt {attempt} of {key} is called delivered, and the sink didn't take it"
            )
    return found
