-- What may be wrong with the installation, read by the statements of other rooms: one JSON object.
SELECT jsonb_build_object(
    'applied', (SELECT sha256 FROM orbit_appliedfiles WHERE id = 1),
    'sequences', (SELECT jsonb_agg(s.sequencename) FROM ({{sequences}}) AS s),
    'partitions', (
        SELECT jsonb_agg(jsonb_build_array(p.parent, p.made, p.has_default, p.default_used))
        FROM ({{partitions}}) AS p
    ),
    'outbox', (
        SELECT jsonb_build_array(
            b.count, b.oldest, b.forwarded, b.refused, b.failing_since, b.problem)
        FROM ({{outbox}}) AS b(count, oldest, forwarded, refused, failing_since, problem)
    ),
    'lag', (SELECT l.seconds FROM ({{retention_lag}}) AS l(seconds)),
    'drifting_runs', (
        SELECT o.progress -> 'drifting_runs'
        FROM governance_operationrun o
        WHERE o.type = '{{reconcile}}' AND o.outcome || '' = 'succeeded'
        ORDER BY o.id DESC
        LIMIT 1
    ),
    'audit', (   -- an alert, acknowledged or not: the trail stays broken
        SELECT a.summary
        FROM governance_alert a
        WHERE a.resolved_at IS NULL AND a.condition || '' = '{{audit_broken}}'
        ORDER BY a.id DESC
        LIMIT 1
    ),
    'paused_hosts', (
        SELECT jsonb_agg(DISTINCT host)
        FROM orbit_clusternode
        WHERE seen_at > now() - interval '15 s' AND paused
    ),
    'clocks', (
        SELECT jsonb_object_agg(host, clock_ahead_seconds)
        FROM orbit_clusternode
        WHERE seen_at > now() - interval '15 s' AND abs(clock_ahead_seconds) > {{tolerated}}
    )
)
