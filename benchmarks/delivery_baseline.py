"""The baseline of deliveries: a hand-written worker that works in batches.

It promises less than Orbit: no cycle, lease, fence, signature, address rules, total deadline,
records, events or retry. ``python -m benchmarks.delivery_baseline DSN SINK`` runs it.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any
from uuid import UUID

import psycopg
import urllib3

from benchmarks.sink import TOKEN

PROCESSES, THREADS, BATCH = 2, 16, 64

SCHEMA = """
CREATE TABLE IF NOT EXISTS letter_item (
    id uuid PRIMARY KEY, payload bytea NOT NULL, content_type text NOT NULL, sha256 text NOT NULL);
CREATE TABLE IF NOT EXISTS letter (
    id uuid PRIMARY KEY, item_id uuid NOT NULL REFERENCES letter_item, endpoint_key text NOT NULL,
    delivery_id uuid NOT NULL, status text NOT NULL, attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz, finished_at timestamptz);
CREATE INDEX IF NOT EXISTS letter_due ON letter (next_attempt_at, id) WHERE status = 'pending';
CREATE TABLE IF NOT EXISTS letter_receipt (
    id uuid PRIMARY KEY, letter_id uuid NOT NULL REFERENCES letter, attempt integer NOT NULL,
    status text NOT NULL, worker text NOT NULL, started_at timestamptz NOT NULL,
    finished_at timestamptz, status_code integer, error_class text, error text NOT NULL DEFAULT '',
    latency_ms float8, response_excerpt text NOT NULL DEFAULT '', body_sha256 text NOT NULL,
    UNIQUE (letter_id, attempt));
TRUNCATE letter_item, letter, letter_receipt;
"""
FILL = """WITH items AS (
    INSERT INTO letter_item
    SELECT gen_random_uuid(), %(payload)s, 'application/json',
        encode(sha256(%(payload)s), 'hex')
    FROM generate_series(1, %(items)s) RETURNING id)
INSERT INTO letter (id, item_id, endpoint_key, delivery_id, status, next_attempt_at)
SELECT gen_random_uuid(), items.id, 'endpoint-' || e, gen_random_uuid(), 'pending',
    clock_timestamp()
FROM items, generate_series(0, %(endpoints)s - 1) AS e"""
CLAIM = """WITH due AS MATERIALIZED (
    SELECT id FROM letter WHERE status = 'pending' AND next_attempt_at <= clock_timestamp()
    ORDER BY next_attempt_at, id LIMIT %s
    FOR NO KEY UPDATE SKIP LOCKED),
moved AS (
    UPDATE letter l SET status = 'sending', attempts = l.attempts + 1, next_attempt_at = NULL
    FROM due WHERE l.id = due.id
    RETURNING l.id, l.item_id, l.endpoint_key, l.delivery_id, l.attempts,
        gen_random_uuid() AS receipt_id),
written AS (
    INSERT INTO letter_receipt (id, letter_id, attempt, status, worker, started_at, body_sha256)
    SELECT m.receipt_id, m.id, m.attempts, 'sending', 'baseline', clock_timestamp(), i.sha256
    FROM moved m JOIN letter_item i ON i.id = m.item_id)
SELECT m.id, m.receipt_id, m.endpoint_key, m.delivery_id, i.payload, i.content_type
FROM moved m JOIN letter_item i ON i.id = m.item_id"""
CLOSE = """WITH closed AS (
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::float8[], %s::text[])
        AS x (id, receipt_id, code, latency, excerpt)),
receipts AS (
    UPDATE letter_receipt r SET status = 'delivered', finished_at = clock_timestamp(),
        status_code = c.code, latency_ms = c.latency, response_excerpt = c.excerpt
    FROM closed c WHERE r.id = c.receipt_id)
UPDATE letter l SET status = 'delivered', finished_at = clock_timestamp()
FROM closed c WHERE l.id = c.id AND l.status = 'sending'"""
SPAN = (
    "SELECT min(started_at), max(finished_at), count(*) FILTER (WHERE status = 'delivered') "
    "FROM letter_receipt"
)


def fill(dsn: str, *, payload: bytes, items: int, endpoints: int) -> None:
    """Create empty tables, and a job for each item and endpoint."""
    with psycopg.connect(dsn) as connection:
        connection.execute(SCHEMA)
        connection.execute(FILL, {"payload": payload, "items": items, "endpoints": endpoints})
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE letter")


def work(dsn: str, sink: str) -> None:
    """Deliver batch by batch until nothing is due."""
    http = urllib3.connectionpool.connection_from_url(sink, maxsize=THREADS)

    def deliver(row: tuple[Any, ...]) -> tuple[UUID, UUID, int, float, str]:
        job, receipt, key, delivery, payload, content_type = row
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": content_type,
            "Idempotency-Key": str(delivery),
        }
        began = time.monotonic()
        answer = http.urlopen(
            "POST", f"/deliver/{key}", body=payload, headers=headers, retries=False, timeout=10
        )
        return (
            job,
            receipt,
            answer.status,
            (time.monotonic() - began) * 1000,
            answer.data[:4096].decode("utf-8", "replace"),
        )

    with psycopg.connect(dsn, autocommit=True) as connection, ThreadPoolExecutor(THREADS) as pool:
        # The receipts are committed before a byte leaves; a dead worker leaves its batch.
        while rows := connection.execute(CLAIM, [BATCH]).fetchall():
            connection.execute(
                CLOSE, [list(column) for column in zip(*pool.map(deliver, rows), strict=True)]
            )


def main() -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    processes = [
        get_context("fork").Process(target=work, args=sys.argv[1:3]) for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print("done" if not any(process.exitcode for process in processes) else "failed", flush=True)
    sys.stdin.readline()  # CPU time is read while the process exists


if __name__ == "__main__":
    main()
