"""A database so large that reading a whole table is slow."""

from typing import Any

from psycopg import Connection

CYCLES = 100_000
#: A cycle with more deliveries and records than a page shows, counted from the newest.
WIDE, WIDE_JOBS, WIDE_RECORDS = 993, 500, 4_000
WIDE_CYCLE = "SELECT cycle_id FROM orbit_dispatchjob WHERE endpoint_key = 'wide1'"
#: The tables that grow for ever. No list and no hot statement may read a whole one.
LARGE = (
    "orbit_cyclerun",
    "orbit_dispatchjob",
    "orbit_deliveryreceipt",
    "orbit_deadletterdispatch",
    "orbit_transformation",
    "orbit_normalizationitem",
    "orbit_normalizationbatch",
    "orbit_recordgroup",
    "orbit_executionrecord",
    "orbit_cyclecheckpoint",
    "orbit_crontick",
    "orbit_valueledgerentry",
    "governance_audittrailentry",
    "governance_operationrun",
    "governance_operationrunitem",
    "advisory_strategyproposal",
    "advisory_advisorysignal",
    "advisory_signalcomputation",
    "telemetry_telemetryevent",
    "telemetry_artifact",
    "telemetry_metric",
    "telemetry_policyviolation",
    "telemetry_errorgroup",
    "telemetry_taskprojection",
)

# Foreign keys are checked row by row, which is slow; these rows fit anyway.
DROP_FOREIGN_KEYS = """DO $$ DECLARE key record; BEGIN
FOR key IN SELECT conrelid::regclass AS place, conname FROM pg_constraint WHERE contype = 'f'
        AND connamespace = current_schema()::regnamespace LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', key.place, key.conname); END LOOP; END $$"""
# A UUIDv7 for each number, spread over the last three weeks, in order.
IDS = """CREATE TEMPORARY TABLE n AS SELECT i, at, (lpad(to_hex((extract(epoch
        FROM at) * 1000)::bigint), 12, '0') || '7000'
    || '8' || lpad(to_hex(i), 7, '0') || substr(md5(i::text), 1, 8))::uuid AS id,
    CASE WHEN i % 97 = 0 THEN 'failed' WHEN i % 101 = 0 THEN 'partial_success' WHEN i % 103 = 0
        THEN 'cancelled' ELSE 'success' END AS status,
    'n' || i % 200 AS namespace, 'r' || i % 400 AS run_profile_id
FROM (SELECT i, now() - (%(rows)s - i) * interval '18 s' AS at
        FROM generate_series(1, %(rows)s) AS i) AS numbers"""
#: Another id of the same moment for each ``k``.
NUMBERED = "overlay(n.id::text PLACING '7' || lpad(to_hex(k), 3, '0') FROM 15 FOR 4)::uuid"
PARTITIONS = """SELECT telemetry_ensure_partitions((now() AT TIME ZONE 'UTC')::date - 15,
        (now() AT TIME ZONE 'UTC')::date),
    orbit_ensure_partitions((now() - %(rows)s * interval '18 s')::date, now()::date)"""
#: Profiles, run profiles and schedules; a night has its own.
CONFIGURATION = (
    """INSERT INTO orbit_profile (profile_id, label, state, document, revision)
    SELECT 'p' || i, 'P', 'enabled', jsonb_build_object(
        'profile_id', 'p' || i, 'label', 'P', 'state', 'enabled'), 2
    FROM generate_series(0, 199) AS i""",
    """INSERT INTO orbit_profilerevision (profile_id, number, document, author, source, reason)
    SELECT id, number, document, 'cas', 'admin', '' FROM orbit_profile,
        generate_series(1, 2) AS number""",
    """INSERT INTO orbit_runprofile (run_profile_id, state, document, revision, namespace,
        profile_id)
    SELECT 'r' || i, 'enabled', jsonb_build_object('run_profile_id', 'r' || i, 'state', 'enabled',
        'namespace', 'n' || i %% 200, 'profile_id', 'p' || i %% 200,
        'distribution_targets', jsonb_build_array('e1', 'e2')), 1, 'n' || i %% 200, p.id
    FROM generate_series(0, 399) AS i JOIN orbit_profile p ON p.profile_id = 'p' || i %% 200""",
    """INSERT INTO orbit_runprofilerevision (run_profile_id, number, document, author, source,
        reason)
    SELECT id, 1, document, 'cas', 'admin', '' FROM orbit_runprofile""",
    """INSERT INTO django_q_schedule (func, name, schedule_type, repeats, cron, next_run)
    SELECT 'orbit.tasks.tick', 'run-profile:r' || i, 'C', -1, i %% 60 || ' * * * *',
        date_trunc('hour', now()) + interval '1 h' + i %% 60 * interval '1 min'
    FROM generate_series(0, 99) AS i""",
)
STATEMENTS = (
    """INSERT INTO governance_namespace (name, external_id, created_at)
        SELECT 'n' || i, gen_random_uuid(), now() FROM generate_series(0, 199) AS i""",
    """INSERT INTO governance_governancesetting (namespace_id, since) SELECT id, now()
        FROM governance_namespace ON CONFLICT DO NOTHING""",
    """INSERT INTO orbit_endpointstate (id, endpoint_key, host)
        SELECT gen_random_uuid(), 'e' || i, 'h' FROM generate_series(0, 9) AS i""",
    """INSERT INTO orbit_endpointsnapshot (id, fingerprint, endpoint_key, host, sealed, state_id)
    SELECT gen_random_uuid(), md5(i::text), 'e' || i % 10, 'h', '', (SELECT id
        FROM orbit_endpointstate WHERE endpoint_key = 'e' || i % 10)
    FROM generate_series(0, 99) AS i""",
    """INSERT INTO orbit_initiation (id, initiation_hash, namespace)
        VALUES (gen_random_uuid(), repeat('1', 64), 'n1')""",
    """INSERT INTO orbit_cyclerun (id, namespace, status, trigger, run_profile_id, context,
        initiation_hash, input, input_content_type, input_sha256,
        created_at, started_at, finished_at, fencing_token)
    SELECT id, namespace, status, 'cron', run_profile_id, '{}', repeat('1', 64), '', 'text/plain',
        repeat('0', 64), at, at, at + interval '2 s', 1 FROM n""",
    # A few that are running, and as many re-runs.
    """UPDATE orbit_cyclerun SET status = 'running', finished_at = NULL, next_due_at = now() + i %%
        3 * interval '1 minute'
    FROM n WHERE n.id = orbit_cyclerun.id AND n.i > %(rows)s - 20""",
    """UPDATE orbit_cyclerun c SET rerun_of = (SELECT id FROM n
        WHERE i = m.i - 500), takeover = '{}' FROM n m WHERE m.id = c.id AND m.i %% 1000 = 0""",
    """INSERT INTO orbit_transformation (id, cycle_id, initiation_id, tier, transformer, status,
        attempts, output)
    SELECT n.id, n.id, i.id, 1, 'passthrough', 'success', 1, '' FROM n, orbit_initiation i""",
    """INSERT INTO orbit_normalizationbatch (id, cycle_id, processor, item_count)
        SELECT id, id, 'passthrough', 1 FROM n""",
    """INSERT INTO orbit_normalizationitem (id, batch_id, transformation_id, payload, content_type,
        sha256)
    SELECT id, id, id, 'x', 'text/plain', md5(i::text) || md5(i::text) FROM n""",
    """INSERT INTO orbit_dispatchjob (id, cycle_id, normalization_item_id, endpoint_key,
        snapshot_id, delivery_id, status, max_retries, finished_at)
    SELECT n.id, n.id, n.id, 'e' || n.i % 10, s.id, gen_random_uuid(), CASE WHEN n.status =
        'success' THEN 'delivered' ELSE 'dead' END, 3, n.at
    FROM n JOIN (SELECT id, row_number() OVER () AS place
        FROM orbit_endpointsnapshot) AS s ON s.place = n.i % 100 + 1""",
    """UPDATE orbit_dispatchjob j SET status = 'pending', next_attempt_at = now(), finished_at =
        NULL FROM n WHERE n.id = j.id AND n.i > %(rows)s - 20""",
    """INSERT INTO orbit_deliveryreceipt (id, job_id, attempt, status, worker, fencing_token,
        started_at, finished_at, status_code, latency_ms, body_sha256)
    SELECT id, id, 1, CASE WHEN status = 'success' THEN 'delivered' ELSE 'failed' END, 'w', 1, at,
        at, 200, 5, '' FROM n""",
    """INSERT INTO orbit_deadletterdispatch (id, job_id, cycle_id, namespace, endpoint_key, status,
        reason, last_error, status_code, attempts, created_at)
    SELECT n.id, n.id, n.id, namespace, 'e' || i % 10, CASE WHEN i % 3 = 0 THEN 'open' ELSE
        'dismissed' END, 'retries_exhausted', 'HTTP 50' || i % 9, 500, 4, at
    FROM n WHERE status <> 'success' OR i % 4 = 0""",
    # One record of most cycles, two groups of each tenth.
    """INSERT INTO orbit_recordgroup (id, partition_key, cycle_id, stage, event, level, namespace,
        message, data)
    SELECT id, id, id, 'cycle', 'cycle_finished', CASE WHEN status = 'success' THEN 'info' ELSE
        'warning' END, namespace, '', '{}' FROM n WHERE i %% 10 <> 0""",
    """INSERT INTO orbit_recordgroup (id, partition_key, cycle_id, level, namespace, records)
    SELECT overlay({numbered}::text PLACING '0000' FROM 33)::uuid, n.id, n.id, level, namespace,
        records::jsonb
    FROM n, (VALUES
        (1, 'info', '[["transformations", "stage_finished", {"ok": true, "duration_ms": 5}],
            ["transformations", "tier_attempt", {"tier": 1, "attempt": 1, "duration_ms": 5}],
            ["dispatch", "delivery_attempt", {"endpoint_key": "e3"}]]'),
        (2, 'warning', '[["dispatch", "delivery_attempt", {"endpoint_key": "e3"}, "HTTP 503"],
            ["cycle", "cycle_finished"]]')) AS made (k, level, records)
    WHERE i %% 10 = 0""",
    """INSERT INTO orbit_cyclecheckpoint (cycle_id, stage, fencing_token, created_at)
        SELECT id, 'cycle_finished', 1, at FROM n""",
    """INSERT INTO orbit_crontick (id, schedule, tick_key, due_at, outcome, detail, decided_at)
    SELECT id, CASE WHEN i % 2 = 0 THEN 'cycles' ELSE 'run-profile:r' || i % 400 END,
        i::text, at, CASE WHEN i % 50 = 0 THEN 'missed' ELSE 'started' END, '{}', at FROM n""",
    # Over ten years, so that the longest totals (two years by month) add up only a part of it.
    """INSERT INTO orbit_valueledgerentry (id, cycle_id, namespace, run_profile_id, kind, tag,
        quantity, unit, created_at)
    SELECT id, id, namespace, run_profile_id, CASE WHEN i %% 2 = 0 THEN 'usage' ELSE 'value' END,
        't' || i %% 20, 1, 'cycle',
        now() - (%(rows)s - i) * interval '1 hour' FROM n""",
    """INSERT INTO governance_audittrailentry (id, at, actor, action, object_type, object_id,
        namespace, previous_hash, hash)
    SELECT h.sequence + i, at, 'u' || i % 50, 'cycle.triggered', 'cycle', n.id::text, namespace,
        md5(i::text), md5(i::text) || md5(i::text) FROM n CROSS JOIN governance_audithead h""",
    # So that the next entry has a number of its own; the chain of these entries is no real one.
    """UPDATE governance_audithead SET sequence = e.id, hash = e.hash
        FROM (SELECT id, hash FROM governance_audittrailentry ORDER BY id DESC LIMIT 1) e""",
    """INSERT INTO governance_operationrun (id, scope, type, identity_hash, status, outcome,
        initiator, finished_at)
    SELECT id, CASE WHEN i % 20 = 0 THEN ARRAY[namespace] END,
        CASE WHEN i % 9 = 0 THEN 'dlq.bulk_requeue' ELSE 'ops.prune' END, md5(i::text),
        'completed', 'succeeded', 'orbit', at FROM n""",
    """INSERT INTO governance_operationrunitem (run_id, object_id, outcome)
        SELECT r.id, n.id, 'succeeded' FROM n JOIN n AS r ON r.i = n.i - n.i %% 100 + 1""",
    # Its rules refuse proposals that were never pending.
    "ALTER TABLE advisory_strategyproposal DISABLE TRIGGER USER",
    # One in a hundred is pending; of these some are expired, and some superseded.
    """INSERT INTO advisory_strategyproposal (id, profile_id, namespace, base_revision, patch,
        title, rationale, evidence, rule, author, requested_by, state, fingerprint,
        required_approvals, expires_at, created_at, ended_at, end_reason)
    SELECT id, 'p' || i %% 200, namespace, 1 + (i %% 300 > 0)::int, '[]', 't', 'r', '{}', '',
        'a' || i %% 100, '', state, md5(i::text),  1,
        CASE WHEN i %% 400 = 0 THEN now() END, at, CASE WHEN state <> 'pending' THEN at END, ''
    FROM (SELECT *, CASE WHEN i %% 100 = 0 THEN 'pending' WHEN i %% 3 = 0 THEN 'superseded'
        WHEN i %% 1000 = 1 THEN 'expired' ELSE 'rejected' END AS state FROM n) AS states""",
    "ALTER TABLE advisory_strategyproposal ENABLE TRIGGER USER",
    """INSERT INTO advisory_signalcomputation (id, baseline_from, window_from, window_to, actor,
        signals, excluded, created_at)
    SELECT id, at - interval '2 d', at - interval '1 d', at, 'u' || i %% 100, 10, '{}', at
    FROM n WHERE i %% 10 = 0""",
    # Ten of each computation; one in a thousand is low.
    """INSERT INTO advisory_advisorysignal (id, computation_id, profile_id, namespace, signal,
        confidence, method, window_from, window_to, evidence, recommendation, created_at)
    SELECT n.id, c.id, 'p' || n.i %% 200, n.namespace,
        CASE WHEN n.i %% 1000 = 1 THEN 'low_performance' ELSE 'stable' END,
        0.5, 'm', n.at - interval '1 d', n.at, '{}', 'r', n.at
    FROM n JOIN n c ON c.i = n.i - n.i %% 10 AND c.i > 0""",
    # Several for each cycle, over two weeks.
    """INSERT INTO telemetry_telemetryevent (id, occurred_at, name, namespace, run_id, level,
        stage, duration_ms, session_id, task_id, metadata)
    SELECT {numbered}, now() - (%(rows)s - n.i) * (interval '14 d' / %(rows)s)
            - (%(each)s - k) * interval '1 ms',
        CASE WHEN is_task THEN 'task_start' WHEN k = 1 THEN 'execution_finished'
            ELSE 'tier_attempt' END, namespace, CASE WHEN NOT is_task THEN n.id END,
        CASE WHEN status = 'success' THEN 'info' ELSE 'warning' END, 'dispatch', k,
        CASE WHEN is_task THEN 's' || i / 100 END, CASE WHEN is_task THEN 't' || i END, '{}'
    FROM (SELECT n.*, k, i %% 2 = 0 AND k = 1 AS is_task
        FROM n, generate_series(1, %(each)s) AS k) AS n
    ORDER BY i, k""",
    """INSERT INTO telemetry_artifact (event_id, occurred_at, namespace, session_id, path_name,
        size)
    SELECT id, at, namespace, 's' || i % 1000, 'p' || i, 1 FROM n""",
    """INSERT INTO telemetry_metric (event_id, occurred_at, namespace, session_id, name, value)
        SELECT id, at, namespace, 's' || i % 1000, 'm' || i % 100, 1 FROM n""",
    """INSERT INTO telemetry_policyviolation (event_id, occurred_at, namespace, session_id, file,
        policy, rule, severity)
    SELECT id, at, namespace, 's' || i % 1000, 'f' || i, 'p' || i % 100, 'r', 'low' FROM n""",
    """INSERT INTO telemetry_errorgroup (day, namespace, stage, message, message_sha256, count,
        first_seen, last_seen, sample)
    SELECT (at AT TIME ZONE 'UTC')::date, namespace, 'build', 'm' || i, md5(i::text), 1, at, at,
        '{}' FROM n""",
    # The wide cycle: deliveries with an attempt each, and records.
    """INSERT INTO orbit_dispatchjob (id, cycle_id, normalization_item_id, endpoint_key,
        snapshot_id, delivery_id, status, max_retries, finished_at)
    SELECT {numbered}, n.id, n.id, 'wide' || k, s.id, gen_random_uuid(), 'delivered', 3,
        n.at
    FROM n, generate_series(1, %(wide_jobs)s) AS k,
        (SELECT id FROM orbit_endpointsnapshot LIMIT 1) AS s WHERE n.i = %(rows)s - %(wide)s""",
    """INSERT INTO orbit_deliveryreceipt (id, job_id, attempt, status, worker, fencing_token,
        started_at, finished_at, status_code, latency_ms, body_sha256)
    SELECT {numbered}, {numbered}, 1, 'delivered', 'w', 1, at + k * interval '1 ms',
        at + k * interval '2 ms', 200, 5, ''
    FROM n, generate_series(1, %(wide_jobs)s) AS k WHERE n.i = %(rows)s - %(wide)s""",
    # Half of them one by one, half in groups of fifty.
    """INSERT INTO orbit_recordgroup (id, partition_key, cycle_id, stage, event, level, namespace,
        message, data, created_at)
    SELECT {numbered}, n.id, n.id, 'dispatch', 'delivery_confirmed', 'info', namespace,
        'delivered ' || k, '{}', at + k * interval '1 ms'
    FROM n, generate_series(1, %(wide_records)s / 2) AS k WHERE n.i = %(rows)s - %(wide)s""",
    """INSERT INTO orbit_recordgroup (id, partition_key, cycle_id, level, namespace, records,
        created_at)
    SELECT overlay({numbered}::text PLACING '0000' FROM 33)::uuid, n.id, n.id, 'info', namespace,
        (SELECT jsonb_agg(jsonb_build_array('dispatch', 'delivery_confirmed', '{}'::jsonb,
            'delivered ' || k + j)) FROM generate_series(0, 49) AS j),
        at + k * interval '1 ms'
    FROM n, generate_series(%(wide_records)s / 2 + 1, %(wide_records)s, 50) AS k
    WHERE n.i = %(rows)s - %(wide)s""",
    # As the roll-up would have counted them, but for the newest.
    """INSERT INTO orbit_deliveryhour (namespace, hour, delivered, dead)
    SELECT namespace, date_trunc('hour', at), count(*) FILTER (WHERE status = 'success'),
        count(*) FILTER (WHERE status <> 'success' OR i %% 4 = 0)
    FROM n WHERE at > now() - interval '35 d' AND i <= %(rows)s - 20
    GROUP BY 1, 2 ORDER BY 2, 1""",
    """INSERT INTO orbit_cycleday (namespace, day, success, partial_success, failed, cancelled)
    SELECT namespace, ((at + interval '2 s') AT TIME ZONE 'UTC')::date,
        count(*) FILTER (WHERE status = 'success'),
        count(*) FILTER (WHERE status = 'partial_success'),
        count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = 'cancelled')
    FROM n WHERE i <= %(rows)s - 20 GROUP BY 1, 2 ORDER BY 2, 1""",
    """INSERT INTO orbit_rollupmark (kind, at, after)
    SELECT kind, at + seconds * interval '1 s', id FROM n,
        (VALUES ('receipts', 0), ('letters', 0), ('cycles', 2)) AS marks (kind, seconds)
    WHERE i = %(rows)s - 20""",
    "SET orbit.projection_updater = 'on'",
    """INSERT INTO telemetry_taskprojection (task_id, namespace, status, last_status_ts,
        last_event_ts, updated_utc)
    SELECT 't' || i, namespace, CASE WHEN status = 'success' THEN 'succeeded' ELSE 'failed' END, at,
        at, at FROM n""",
    "RESET orbit.projection_updater",
)


# Building an index at the end is faster than row by row.
INDEXES = """SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
        WHERE NOT indisunique AND indrelid IN (
    SELECT oid FROM pg_class WHERE relname = ANY(%s) AND relkind IN ('r', 'p'))"""


def fill(
    owner: "Connection[Any]", rows: int = CYCLES, *, events: int = 0, configured: bool = True
) -> None:
    """Create ``rows`` cycles with their rows, and analyze the tables.

    ``events`` of telemetry, a multiple of ``rows``; without it as many. A million cycles and ten
    million events take some minutes and 15 GB. ``configured``: with the run profiles too.
    """
    owner.execute(_text(PARTITIONS, rows, 1))
    owner.execute(DROP_FOREIGN_KEYS)
    indexes = owner.execute(INDEXES, [list(LARGE)]).fetchall()
    owner.execute("DROP INDEX " + ", ".join(name for name, _ in indexes))
    owner.execute(_text(IDS, rows, 1))
    owner.execute("CREATE UNIQUE INDEX ON n (i)")
    owner.execute("ANALYZE n")
    for statement in (*STATEMENTS, *(CONFIGURATION if configured else ())):
        owner.execute(_text(statement, rows, max(1, events // rows)))
    for _, definition in indexes:
        owner.execute(definition.replace(" ON ONLY ", " ON "))
    owner.execute("VACUUM (ANALYZE)")


def _text(statement: str, rows: int, each: int) -> str:
    numbers = {
        "rows": rows,
        "each": each,
        "wide": WIDE,
        "wide_jobs": WIDE_JOBS,
        "wide_records": WIDE_RECORDS,
    }
    for name, number in numbers.items():
        statement = statement.replace(f"%({name})s", str(number))
    return statement.replace("{numbered}", NUMBERED).replace("%%", "%")
