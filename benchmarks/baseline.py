"""The baseline: a hand-written cycle with psycopg 3 in 8 threads.

It promises less than Orbit: no fence, records, checkpoints, receipt before the request, events or
retry. ``python -m benchmarks.baseline DSN SINK CYCLES`` prints its seconds.
"""

import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from uuid import UUID

import psycopg
import urllib3

from benchmarks.sink import TOKEN
from governance.kernel.identifiers import uuid7

THREADS = 8
PAYLOAD = json.dumps({"text": "0123456789abcdef" * 63}).encode()

SCHEMA = """
CREATE TABLE IF NOT EXISTS run (
    id uuid PRIMARY KEY, namespace text NOT NULL, status text NOT NULL, input bytea NOT NULL,
    lease_owner text NOT NULL, lease_expires_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL, finished_at timestamptz);
CREATE UNIQUE INDEX IF NOT EXISTS one_active_run ON run (namespace) WHERE status = 'running';
CREATE TABLE IF NOT EXISTS initiation (
    id uuid PRIMARY KEY, run_id uuid NOT NULL UNIQUE REFERENCES run, hash text NOT NULL);
CREATE TABLE IF NOT EXISTS transformation (
    id uuid PRIMARY KEY, initiation_id uuid NOT NULL REFERENCES initiation, tier smallint NOT NULL,
    status text NOT NULL, output bytea NOT NULL, UNIQUE (initiation_id, tier));
CREATE TABLE IF NOT EXISTS item (
    id uuid PRIMARY KEY, transformation_id uuid NOT NULL UNIQUE REFERENCES transformation,
    payload bytea NOT NULL, sha256 text NOT NULL);
CREATE TABLE IF NOT EXISTS job (
    id uuid PRIMARY KEY, run_id uuid NOT NULL REFERENCES run,
    item_id uuid NOT NULL UNIQUE REFERENCES item, endpoint text NOT NULL, status text NOT NULL,
    attempts integer NOT NULL);
CREATE INDEX IF NOT EXISTS job_run ON job (run_id);
CREATE INDEX IF NOT EXISTS job_pending ON job (id) WHERE status = 'pending';
CREATE TABLE IF NOT EXISTS receipt (
    id uuid PRIMARY KEY, job_id uuid NOT NULL REFERENCES job, attempt integer NOT NULL,
    status_code integer NOT NULL, created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (job_id, attempt));
"""

RUN = """WITH run AS (
    INSERT INTO run VALUES (
        %s, %s, 'running', %s, 'baseline', now() + interval '15 seconds', clock_timestamp())
    ON CONFLICT DO NOTHING RETURNING id)
INSERT INTO initiation SELECT %s, id, %s FROM run"""
TIERS = """INSERT INTO transformation
SELECT id, %s, tier, 'success', output
FROM unnest(%s::uuid[], %s::smallint[], %s::bytea[]) AS t (id, tier, output)
ON CONFLICT DO NOTHING"""
ITEMS = """WITH items AS (
    INSERT INTO item SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bytea[], %s::text[])
    ON CONFLICT DO NOTHING)
INSERT INTO job SELECT id, %s, item, 'default', 'pending', 0
FROM unnest(%s::uuid[], %s::uuid[]) AS j (id, item) ON CONFLICT DO NOTHING"""
FINISH = """WITH receipts AS (
    INSERT INTO receipt (id, job_id, attempt, status_code) SELECT id, job, 1, code
    FROM unnest(%s::uuid[], %s::uuid[], %s::integer[]) AS r (id, job, code)),
jobs AS (UPDATE job SET status = 'delivered', attempts = 1 WHERE id = ANY(%s::uuid[]))
UPDATE run SET status = 'success', finished_at = clock_timestamp() WHERE id = %s"""


class Baseline:
    """Threads that take cycles from one counter."""

    def __init__(self, dsn: str, sink: str, cycles: int) -> None:
        self._pool = urllib3.connectionpool.connection_from_url(sink, maxsize=THREADS)
        self._numbers: Iterator[int] = iter(range(cycles))
        self._lock = threading.Lock()
        self._connections = [psycopg.connect(dsn, autocommit=True) for _ in range(THREADS)]
        self._faults: list[BaseException] = []
        self.runs: list[UUID] = []

    def work(self) -> float:
        """Run all cycles; return the seconds. Raises what a thread raised."""
        threads = [
            threading.Thread(target=self._run_cycles, args=(connection,))
            for connection in self._connections
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._faults:
            raise self._faults[0]
        span = (
            self._connections[0]
            .execute(
                "SELECT extract(epoch FROM max(finished_at) - min(started_at)) "
                "FROM run WHERE id = ANY(%s)",
                [self.runs],
            )
            .fetchone()
        )
        assert span is not None
        return float(span[0])

    def _run_cycles(self, connection: psycopg.Connection) -> None:
        try:
            while True:
                with self._lock:
                    number = next(self._numbers, None)
                if number is None:
                    return
                self._cycle(connection, number)
        except Exception as error:  # the main thread raises it
            self._faults.append(error)

    def _cycle(self, connection: psycopg.Connection, number: int) -> None:
        run, initiation, namespace = uuid7(), uuid7(), f"ns-{number}"
        self.runs.append(run)
        connection.execute(
            RUN,
            [
                run,
                namespace,
                PAYLOAD,
                initiation,
                hashlib.sha256(f"{namespace}/daily".encode()).hexdigest(),
            ],
        )
        tiers = [uuid7() for _ in range(3)]
        outputs = [PAYLOAD] * 3
        connection.execute(TIERS, [initiation, tiers, [1, 2, 3], outputs])
        items, jobs = [uuid7() for _ in tiers], [uuid7() for _ in tiers]
        connection.execute(
            ITEMS,
            [
                items,
                tiers,
                outputs,
                [hashlib.sha256(output).hexdigest() for output in outputs],
                run,
                jobs,
                items,
            ],
        )
        codes = [self._deliver(job, output) for job, output in zip(jobs, outputs, strict=True)]
        connection.execute(FINISH, [[uuid7() for _ in jobs], jobs, codes, jobs, run])

    def _deliver(self, job: UUID, body: bytes) -> int:
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/json",
            "Idempotency-Key": str(job),
        }
        return int(
            self._pool.urlopen("POST", "/deliver", body=body, headers=headers, retries=False).status
        )


def main() -> None:
    dsn, sink, cycles = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with psycopg.connect(dsn) as connection:
        connection.execute(SCHEMA)
    baseline = Baseline(dsn, sink, cycles)
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(baseline.work()), flush=True)
    sys.stdin.readline()  # CPU time is read while the process exists


if __name__ == "__main__":
    main()
