"""The audit of the conductor: what must hold once all runs have ended.

T1  Every accepted run is there, ended as its tasks decide, and was created once. Only those that
    are old enough for retention are gone, with all their tasks.
T2  Each parent has exactly its children.
T3  Counts are those of a scan.
T4  Work is done at most once for each attempt; success is recorded once, for an attempt that was
    made.
T5  Each transition has its event, once. The projection agrees with the tasks.
T6  Nothing is held, ready or running.
T7  Each operation run ended, and none of a type ran beside another; periodic ones never paused.
T8  The audit trail is intact.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.audit import verify
from governance.audit.verify import Broken
from telemetry import database as telemetry
from tests.chaos.conductor_load import KINDS
from tests.chaos.testbed import Testbed
from tests.support import conductor_tree, database

# The database's own list of transitions.
RECORD = """
CREATE TABLE chaos_transition (
    task text, is_parent boolean, source text, target text, at timestamptz);
GRANT INSERT ON chaos_transition TO PUBLIC;
CREATE FUNCTION chaos_record() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO chaos_transition
    VALUES (NEW.id, NEW.is_parent, OLD.state, NEW.state, NEW.state_changed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_record AFTER UPDATE ON orbit_conductortask FOR EACH ROW
WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION chaos_record();
"""
CHILDREN = """SELECT t.id, p.fanned_out, count(c.id), max(c.index),
    count(*) FILTER (WHERE c.name <> t.name || '#' || c.index)
FROM orbit_conductorparent p
JOIN orbit_conductortask t ON t.id = p.task_id
LEFT JOIN orbit_conductortask c ON c.parent_id = t.id
GROUP BY t.id, p.fanned_out, p.fanout
HAVING count(c.id) <> p.fanned_out OR coalesce(max(c.index), 0) <> p.fanned_out
    OR count(*) FILTER (WHERE c.name <> t.name || '#' || c.index) > 0
    OR (t.state = 'SUCCEEDED' AND p.fanned_out <> p.fanout)"""
STRAY = """SELECT 'task ' || t.id FROM orbit_conductortask t
LEFT JOIN orbit_conductorrun r ON r.id = t.run_id WHERE r.id IS NULL
UNION ALL SELECT 'parent ' || p.task_id FROM orbit_conductorparent p
LEFT JOIN orbit_conductortask t ON t.id = p.task_id WHERE t.id IS NULL
UNION ALL SELECT 'count ' || id FROM orbit_conductortally"""
SUCCEEDED = """SELECT id, attempt, (output->>'attempt')::int FROM orbit_conductortask
WHERE state = 'SUCCEEDED' AND NOT is_parent"""
TWICE = """SELECT task FROM chaos_transition WHERE target IN ('SUCCEEDED', 'CANCELLED')
GROUP BY task HAVING count(*) > 1"""
EXPECTED = """SELECT task, at, CASE target WHEN 'RUNNING' THEN 'task_start'
    WHEN 'CANCELLED' THEN 'decision' ELSE 'task_end' END
FROM chaos_transition"""
STORED = """SELECT task_id, occurred_at, name FROM telemetry_telemetryevent
WHERE stage = 'orbit-conductor'"""
CHAIN = """SELECT task, before, source FROM (
    SELECT task, source, lag(target, 1, 'PENDING') OVER (PARTITION BY task ORDER BY at) AS before
    FROM chaos_transition
) x WHERE before <> source"""
DRIFT = """SELECT id, kind, progress->'drift'->kind->>'count' FROM governance_operationrun,
    unnest(ARRAY['missing_in_projection', 'status_mismatch']) AS kind
WHERE type = 'telemetry.reconcile' AND (progress->'drift'->kind->>'count')::int > 0"""
HELD = """SELECT id, state FROM orbit_conductortask
WHERE lease_expires_at IS NOT NULL OR ready OR state IN ('PENDING', 'RUNNING')"""
UNENDED = """SELECT type, id, status, outcome, progress->>'note' FROM governance_operationrun
WHERE status <> 'completed' OR outcome IN ('failed', 'partially_succeeded')
    OR finished_at IS NULL"""
# A run that waits for the end of the one before it is created earlier, but starts later.
BESIDE = """SELECT a.type, a.id, b.id FROM governance_operationrun a
JOIN governance_operationrun b
    ON a.type = b.type AND a.identity_hash = b.identity_hash AND a.id < b.id
WHERE b.started_at < coalesce(a.finished_at, 'infinity')
    AND a.started_at < coalesce(b.finished_at, 'infinity')"""
# The longest time without a run that was active.
PAUSES = """SELECT type, max(gap) FROM (
    SELECT type, extract(epoch FROM created_at - max(finished_at) OVER (
        PARTITION BY type ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ))::float8 AS gap
    FROM governance_operationrun WHERE type = 'ops.reconcile_adapter_runs'
) x GROUP BY type HAVING max(gap) > %s"""
CREATED = """SELECT object_id, count(*) FROM governance_audittrailentry
WHERE action = 'conductor_run.created' GROUP BY 1"""
#: A minute, and the time in which a cluster's maintenance is replaced.
LONGEST_PAUSE = 120.0
SHOWN = 5


@dataclass
class ConductorAudit:
    """The audit after a load.

    ``accepted``: the kinds of runs by id. ``effects``: the files of workers. ``forgotten``: runs
    that retention has to delete.
    """

    testbed: Testbed
    accepted: Mapping[str, str]
    effects: Sequence[Path]
    forgotten: Collection[str] = ()

    def look(self) -> list[str]:
        """Return the violations, the first few of each rule."""
        found = [
            *self._runs(),
            *self._children(),
            *(
                violation
                for check in conductor_tree.count_checks()
                for violation in self._rows("T3: {} counts {}, and there are {}", check)
            ),
            *self._work(),
            *self._events(),
            *self._rows("T6: the task {} is left {}", HELD),
            *self._operations(),
            *self._trail(),
        ]
        seen: Counter[str] = Counter()
        shown = []
        for violation in found:
            seen[violation[:2]] += 1
            if seen[violation[:2]] <= SHOWN:
                shown.append(violation)
        more = {rule: count - SHOWN for rule, count in seen.items() if count > SHOWN}
        return [*shown, *(f"{rule}: and {count} more" for rule, count in more.items())]

    def reconcile(self) -> list[str]:
        """Compare the projection with the tasks, by the command; return the violations."""
        done = subprocess.run(
            [sys.executable, "manage.py", "telemetry", "reconcile", "--json"],
            cwd=database.PROJECT,
            env={**os.environ, **database.environment(self.testbed.server, self.testbed.name)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return [f"T5: telemetry reconcile ended with {done.returncode}: {done.stderr}"]
        found = json.loads(done.stdout)
        if found["missing_in_tasks"]["count"] and not self.forgotten:
            return [f"T5: the projection has more tasks: {found['missing_in_tasks']}"]
        return []

    def summary(self) -> str:
        """Return what was done, in a line."""
        transitions = self.testbed.value("SELECT count(*) FROM chaos_transition")
        again = self.testbed.value("SELECT count(*) FROM orbit_conductortask WHERE attempt > 1")
        operations = self.testbed.value("SELECT count(*) FROM governance_operationrun")
        return (
            f"{len(self.accepted)} runs ({len(self.forgotten)} of them pruned), {transitions}"
            f" transitions, {again} tasks with more than one attempt, {operations} operation runs"
        )

    def _rows(self, sentence: str, statement: str, *values: Any) -> list[str]:
        return [sentence.format(*row) for row in self.testbed.query(statement, *values)]

    def _runs(self) -> list[str]:
        states = dict(self.testbed.query("SELECT id, state FROM orbit_conductorrun"))
        created = dict(self.testbed.query(CREATED))
        violations = [
            f"T1: the run {run} was never accepted" for run in states.keys() - self.accepted
        ]
        for run, kind in self.accepted.items():
            if created.get(run) != 1:
                violations.append(f"T1: {run} has {created.get(run, 0)} entries of its creation")
            if (run in states) == (run in self.forgotten):
                what = "isn't pruned" if run in states else "is gone"
                violations.append(f"T1: the {kind} run {run} {what}")
            elif run in states and states[run] not in KINDS[kind].ends:
                violations.append(f"T1: the {kind} run {run} is {states[run]}")
        return violations

    def _children(self) -> list[str]:
        return [
            *self._rows(
                "T2: the parent {} has made {} children, and has {}, the last is {}; names: {}",
                CHILDREN,
            ),
            *self._rows("T2: the {} belongs to nothing", STRAY),
        ]

    def _work(self) -> list[str]:
        done = Counter(
            (task, int(attempt))
            for file in self.effects
            if file.exists()
            for task, attempt in map(str.split, file.read_text().splitlines())
        )
        violations = [
            f"T4: attempt {attempt} of {task} was made {times} times"
            for (task, attempt), times in done.items()
            if times > 1
        ]
        for task, attempt, output in self.testbed.query(SUCCEEDED):
            if output != attempt or (task, attempt) not in done:
                violations.append(
                    f"T4: {task} succeeded by attempt {attempt}, and has the output of {output}"
                )
        return [*violations, *self._rows("T4: {} ended twice", TWICE)]

    def _events(self) -> list[str]:
        return [
            *self._compared(),
            *self._rows("T5: the task {} was {}, and went on from {}", CHAIN),
            *self._rows("T5: the reconciliation {} found {}: {}", DRIFT),
        ]

    def _compared(self) -> list[str]:
        with telemetry.connection().cursor() as cursor:
            cursor.execute(STORED)
            stored = Counter(cursor.fetchall())
        expected = Counter(self.testbed.query(EXPECTED))
        return [
            f"T5: the task {task} has {what} {name} at {at}"
            for what, events in (
                ("no event", expected - stored),
                ("an event too many:", stored - expected),
            )
            for task, at, name in events
        ]

    def _operations(self) -> list[str]:
        return [
            *self._rows("T7: the operation run {} {} is {} {}: {}", UNENDED),
            *self._rows("T7: {} ran twice at once: {} and {}", BESIDE),
            *self._rows("T7: there was no {} for {} s", PAUSES, LONGEST_PAUSE),
        ]

    def _trail(self) -> list[str]:
        try:
            verify.walk()
        except Broken as broken:
            return [f"T8: {broken.detail}"]
        return []
