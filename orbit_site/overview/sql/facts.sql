-- All that the overview tells of one scope (null: all namespaces), as one JSON object.
-- Each part reads an index of what is open, or a bounded number of the newest rows.
-- params: scope text[], own text
WITH active AS MATERIALIZED (   -- at most one of each namespace
    SELECT
        c.id, c.namespace, c.status, c.run_profile_id, c.next_due_at, c.lease_expires_at,
        c.resumes, c.created_at
    FROM orbit_cyclerun c
    WHERE c.status IN ('pending', 'running')
      AND (%(scope)s::text[] IS NULL OR c.namespace = ANY(%(scope)s::text[]))
),
notable AS MATERIALIZED (   -- the newest that didn't end well: of each status, by its index
    (
        SELECT id, namespace, status, profile_id, run_profile_id, reason, finished_at
        FROM orbit_cyclerun
        WHERE status = 'failed'
          AND id >= orbit_uuid_floor(now() - interval '{{notable_days}} days')
          AND (%(scope)s::text[] IS NULL OR namespace = ANY(%(scope)s::text[]))
        ORDER BY id DESC
        LIMIT {{most_notable}}
    )
    UNION ALL
    (
        SELECT id, namespace, status, profile_id, run_profile_id, reason, finished_at
        FROM orbit_cyclerun
        WHERE status = 'partial_success'
          AND id >= orbit_uuid_floor(now() - interval '{{notable_days}} days')
          AND (%(scope)s::text[] IS NULL OR namespace = ANY(%(scope)s::text[]))
        ORDER BY id DESC
        LIMIT {{most_notable}}
    )
),
newest AS MATERIALIZED (   -- of each run profile, or of each profile of a namespace
    SELECT DISTINCT ON (namespace, run_profile_id, profile_id) *
    FROM notable
    ORDER BY namespace, run_profile_id, profile_id, id DESC
),
unresolved AS MATERIALIZED (
    SELECT n.*
    FROM newest n
    WHERE NOT EXISTS (
        SELECT FROM orbit_seenmark m WHERE m.kind = 'cycle' AND m.key = n.id::text
    )
      -- a later success of the same run profile
      AND (n.run_profile_id IS NULL OR (   -- row by row: an anti-join might read the whole table
          SELECT 1
          FROM orbit_cyclerun c
          WHERE c.run_profile_id = n.run_profile_id
            AND c.id > n.id
            AND c.status || '' = 'success'
          LIMIT 1
      ) IS NULL)
      -- or, of triggers without a run profile, of the same profile among the next few
      AND (n.run_profile_id IS NOT NULL OR NOT EXISTS (
          SELECT
          FROM (
              SELECT c.profile_id, c.run_profile_id, c.status
              FROM orbit_cyclerun c
              WHERE c.namespace = n.namespace AND c.id > n.id
              ORDER BY c.id
              LIMIT {{most_notable}}
          ) AS later
          WHERE later.run_profile_id IS NULL
            AND later.profile_id IS NOT DISTINCT FROM n.profile_id
            AND later.status = 'success'
      ))
    ORDER BY n.id DESC
),
letters AS MATERIALIZED (
    SELECT l.id, l.error_group, l.created_at
    FROM orbit_deadletterdispatch l
    WHERE l.status = 'open'
      AND (%(scope)s::text[] IS NULL OR l.namespace = ANY(%(scope)s::text[]))
    ORDER BY l.id DESC
    LIMIT {{counted}}
),
stopped AS MATERIALIZED (
    SELECT n.id, n.name AS namespace, s.mode, s.since, s.until, s.changed_by, s.reason
    FROM governance_governancesetting s
    JOIN governance_namespace n ON n.id = s.namespace_id
    WHERE s.mode <> 'running'
      AND (s.until IS NULL OR s.until > now())
      AND (%(scope)s::text[] IS NULL OR n.name = ANY(%(scope)s::text[]))
    ORDER BY s.since DESC
    LIMIT {{most_listed}}
),
operations AS MATERIALIZED (
    SELECT o.id, o.type, o.status, o.progress, o.summary_counts, o.created_at, o.started_at
    FROM governance_operationrun o
    WHERE o.status IN ('queued', 'running')
      AND (%(scope)s::text[] IS NULL OR o.scope <@ %(scope)s::varchar[])
    ORDER BY o.id DESC
    LIMIT {{counted}}
),
alerts AS MATERIALIZED (   -- open, and no user has it in hand
    SELECT a.id, a.condition, a.summary, a.link, a.first_seen_at
    FROM governance_alert a
    WHERE a.resolved_at IS NULL
      AND a.acknowledged_at IS NULL
      AND (%(scope)s::text[] IS NULL OR a.namespace = ANY(%(scope)s::text[]))
    ORDER BY a.id DESC
    LIMIT {{counted}}
),
schedules AS MATERIALIZED (
    SELECT q.name, q.next_run, p.run_profile_id, p.namespace
    FROM django_q_schedule q
    LEFT JOIN orbit_runprofile p ON q.name = '{{of_run_profile}}' || p.run_profile_id
    WHERE q.func = '{{tick}}'
      AND q.repeats <> 0
      AND (q.next_run IS NULL OR q.next_run < now() + interval '10 years')   -- null: not planned yet
      AND (%(scope)s::text[] IS NULL OR p.namespace = ANY(%(scope)s::text[]))
    ORDER BY q.next_run
    LIMIT {{counted}}
),
days AS MATERIALIZED (
    SELECT d.*, sum(failed * 1000 + partial_success) OVER (PARTITION BY namespace) AS weight
    FROM ({{per_day}}) AS d
),
history AS MATERIALIZED (
    SELECT has_delivered, NOT (has_delivered AND has_cycles) AS is_first_run
    FROM (
        SELECT
            (
                SELECT 1 FROM orbit_cyclerun c
                WHERE %(scope)s::text[] IS NULL OR c.namespace = ANY(%(scope)s::text[])
                LIMIT 1
            ) IS NOT NULL AS has_cycles,
            EXISTS (SELECT FROM days d WHERE d.success + d.partial_success > 0)
            OR EXISTS (   -- kept for ever, unlike the cycles
                SELECT FROM orbit_cycleday d
                WHERE d.success + d.partial_success > 0
                  AND (%(scope)s::text[] IS NULL OR d.namespace = ANY(%(scope)s::text[]))
            ) AS has_delivered
    ) AS h
),
run_profiles AS MATERIALIZED (
    SELECT p.run_profile_id
    FROM orbit_runprofile p
    WHERE p.state = 'enabled'
      AND NOT p.hidden
      AND (%(scope)s::text[] IS NULL OR p.namespace = ANY(%(scope)s::text[]))
    ORDER BY p.run_profile_id
    LIMIT {{most_run_profiles}}
)
SELECT jsonb_build_object(
    'now', clock_timestamp(),
    'active', (SELECT count(*) FROM active),
    'active_cycles', (
        SELECT jsonb_agg(to_jsonb(a)) FROM (
            SELECT * FROM active ORDER BY created_at LIMIT {{most_listed}}
        ) AS a
    ),
    'queued', (
        SELECT count(*) FROM (
            SELECT FROM orbit_cyclerun c
            WHERE c.status = 'queued'
              AND (%(scope)s::text[] IS NULL OR c.namespace = ANY(%(scope)s::text[]))
            LIMIT {{counted}}
        ) AS q
    ),
    'unresolved', (SELECT count(*) FROM unresolved),
    'unresolved_cycles', (
        SELECT jsonb_agg(to_jsonb(u)) FROM (
            SELECT
                n.id, n.namespace, n.status, n.profile_id, n.run_profile_id, n.finished_at,
                left(n.reason, 300) AS reason, t.tier, t.tries, t.error, d.delivered, d.total
            FROM (SELECT * FROM unresolved ORDER BY id DESC LIMIT {{most_things}}) AS n
            LEFT JOIN LATERAL (
                SELECT t.tier, t.attempts AS tries, left(t.error, 300) AS error
                FROM orbit_transformation t
                WHERE t.cycle_id = n.id AND t.status || '' = 'failed'
                ORDER BY t.tier
                LIMIT 1
            ) AS t ON true
            LEFT JOIN LATERAL (
                SELECT count(*) AS total, count(*) FILTER (WHERE j.status = 'delivered') AS delivered
                FROM orbit_dispatchjob j
                WHERE j.cycle_id = n.id AND j.requeue_of_id IS NULL
            ) AS d ON true
            ORDER BY n.id DESC
        ) AS u
    ),
    'dead', (SELECT count(*) FROM letters),
    'groups', (
        SELECT jsonb_agg(to_jsonb(g)) FROM (
            SELECT
                g.*, {{growing}} AS growing, l.endpoint_key, l.reason, l.status_code,
                left(l.error_pattern, 200) AS error,
                EXISTS (
                    SELECT FROM orbit_seenmark m
                    WHERE m.kind = 'group' AND m.key IN (g.key, g.key || %(own)s)
                      AND m.at >= g.last_at   -- a newer letter ends it
                ) AS seen
            FROM (
                SELECT
                    error_group AS key, (array_agg(id))[1] AS newest, count(*) AS count,
                    min(created_at) AS first_at, max(created_at) AS last_at
                FROM letters
                GROUP BY error_group
                ORDER BY count(*) DESC, error_group
                LIMIT {{most_listed}}
            ) AS g
            JOIN orbit_deadletterdispatch l ON l.id = g.newest
            ORDER BY g.count DESC, g.key
        ) AS g
    ),
    'stops', (SELECT jsonb_agg(to_jsonb(s)) FROM stopped AS s),
    'pause', (
        SELECT to_jsonb(x) FROM (
            SELECT p.since, p.until, p.started_by AS by, p.reason FROM {{pause}} LIMIT 1
        ) AS x
    ),
    'clusters', (
        SELECT to_jsonb(x) FROM (
            SELECT
                count(*) FILTER (WHERE NOT draining) AS count,
                coalesce(sum(workers) FILTER (WHERE NOT draining), 0) AS workers,
                max(seen_at) AS seen_at,
                max(endpoints) AS endpoints   -- null: none runs, or of an older release
            FROM orbit_clusternode
            WHERE seen_at > now() - interval '15 s'
        ) AS x
    ),
    'queue', (   -- tasks are of no namespace: for some namespaces, their due cycles
        SELECT to_jsonb(x) FROM (
            SELECT count(*) AS count, extract(epoch FROM clock_timestamp() - min(since)) AS age
            FROM (
                SELECT lock AS since
                FROM django_q_ormq
                WHERE lock <= now() AND %(scope)s::text[] IS NULL
                UNION ALL
                SELECT next_due_at
                FROM active
                WHERE next_due_at <= now() AND lease_expires_at IS NULL
                  AND %(scope)s::text[] IS NOT NULL
                LIMIT {{counted}}
            ) AS q
        ) AS x
    ),
    'circuits', (
        SELECT jsonb_agg(to_jsonb(e)) FROM (
            SELECT endpoint_key, host, opened_at, probe_at, failures, left(last_error, 300) AS error
            FROM orbit_endpointstate
            WHERE opened_at IS NOT NULL
            ORDER BY opened_at
            LIMIT {{most_listed}}
        ) AS e
    ),
    'operations', (SELECT count(*) FROM operations),
    'running_operations', (
        SELECT jsonb_agg(to_jsonb(o)) FROM (SELECT * FROM operations LIMIT {{most_things}}) AS o
    ),
    'failed_operations', (
        SELECT jsonb_agg(to_jsonb(f)) FROM (
            SELECT DISTINCT ON (o.type)
                o.id, o.type, o.outcome, o.finished_at, left(o.reason, 300) AS reason
            FROM (
                SELECT * FROM governance_operationrun
                WHERE outcome IN ('failed', 'partially_succeeded')
                  AND id >= orbit_uuid_floor(now() - interval '1 day')
                ORDER BY id DESC
                LIMIT {{most_notable}}
            ) AS o
            WHERE (%(scope)s::text[] IS NULL OR o.scope <@ %(scope)s::varchar[])
              AND NOT EXISTS (
                  SELECT FROM governance_operationrun later
                  WHERE later.type = o.type AND later.id > o.id AND later.outcome || '' = 'succeeded'
              )
            ORDER BY o.type, o.id DESC
            LIMIT {{most_listed}}
        ) AS f
    ),
    'alerts', (SELECT count(*) FROM alerts),
    'other_alerts', (   -- of what the overview doesn't say itself
        SELECT jsonb_agg(to_jsonb(a)) FROM (
            SELECT * FROM alerts WHERE condition NOT IN ({{own_conditions}}) LIMIT {{most_things}}
        ) AS a
    ),
    'next_runs', (
        SELECT jsonb_agg(to_jsonb(s)) FROM (
            SELECT * FROM schedules LIMIT {{most_things}}
        ) AS s
    ),
    'overdue', (
        SELECT to_jsonb(x) FROM (
            SELECT count(*) AS count, min(next_run) AS since, (array_agg(name))[1] AS name
            FROM schedules
            WHERE next_run < now() - interval '60 s'
        ) AS x
    ),
    'run_profiles', (
        SELECT to_jsonb(x) FROM (
            SELECT
                count(*) AS count,
                count((
                    SELECT 1 FROM orbit_cyclerun c
                    WHERE c.run_profile_id = p.run_profile_id
                      AND c.id >= orbit_uuid_floor(now() - interval '1 day')
                      AND c.status || '' IN ('success', 'partial_success')
                    LIMIT 1
                )) AS delivered
            FROM run_profiles p
        ) AS x
    ),
    'hours', (SELECT jsonb_agg(to_jsonb(h)) FROM ({{per_hour}}) AS h),
    'days', (
        SELECT jsonb_agg(to_jsonb(d)) FROM (
            SELECT * FROM days ORDER BY weight DESC, namespace, day LIMIT {{most_cells}}
        ) AS d
    ),
    'audit', (
        SELECT jsonb_agg(to_jsonb(a)) FROM (
            SELECT *
            FROM (
                (
                    SELECT id, at, actor, action, object_type, object_id, namespace
                    FROM governance_audittrailentry
                    WHERE %(scope)s::text[] IS NULL
                    ORDER BY id DESC
                    LIMIT {{most_things}}
                )
                UNION ALL   -- by the index of each: of a quiet namespace the newest are far back
                SELECT a.*
                FROM unnest(%(scope)s::text[]) AS s(name)
                CROSS JOIN LATERAL (
                    SELECT id, at, actor, action, object_type, object_id, namespace
                    FROM governance_audittrailentry
                    WHERE namespace = s.name
                    ORDER BY id DESC
                    LIMIT {{most_things}}
                ) AS a
            ) AS entries
            ORDER BY id DESC
            LIMIT {{most_things}}
        ) AS a
    ),
    'namespaces', (
        SELECT jsonb_agg(name) FROM (
            SELECT name FROM governance_namespace
            WHERE %(scope)s::text[] IS NULL OR name = ANY(%(scope)s::text[])
            ORDER BY name
            LIMIT {{most_namespaces}}
        ) AS n
    ),
    'is_first_run', (SELECT is_first_run FROM history),
    'administrators', CASE WHEN (SELECT is_first_run FROM history) THEN (
        SELECT count(*)
        FROM auth_user u
        WHERE u.is_active AND u.is_staff AND (u.is_superuser OR EXISTS (
            SELECT
            FROM auth_user_groups m
            JOIN auth_group g ON g.id = m.group_id
            WHERE m.user_id = u.id AND g.name = 'Administrator'
        ))
    ) END,
    'has_backup', CASE WHEN (SELECT is_first_run FROM history) THEN EXISTS (
        SELECT FROM governance_audittrailentry WHERE action = '{{backup_made}}'
    ) END,
    'has_tested', CASE WHEN (SELECT is_first_run FROM history) THEN EXISTS (
        SELECT FROM governance_audittrailentry WHERE action = '{{endpoint_tested}}'
    ) END,
    'has_delivered', (SELECT has_delivered FROM history),
    'newest', (   -- with one of these of the scope, what waits for whom changes
        SELECT jsonb_build_array(
            (
                SELECT id
                FROM (
                    SELECT id, namespace
                    FROM advisory_strategyproposal
                    ORDER BY id DESC
                    LIMIT {{most_notable}}
                ) AS p
                WHERE %(scope)s::text[] IS NULL OR namespace = ANY(%(scope)s::text[])
                ORDER BY id DESC
                LIMIT 1
            ),
            (
                SELECT d.id
                FROM (
                    SELECT id, proposal_id
                    FROM advisory_proposaldecision
                    ORDER BY id DESC
                    LIMIT {{most_notable}}
                ) AS d
                JOIN advisory_strategyproposal p ON p.id = d.proposal_id
                WHERE %(scope)s::text[] IS NULL OR p.namespace = ANY(%(scope)s::text[])
                ORDER BY d.id DESC
                LIMIT 1
            )
        )
    )
)
