-- A page of sessions with what is missing in them, gaps first, beside the totals of all sessions.
-- Without a page there is one row, which has the totals only.
-- params: session text, namespaces text[], since timestamptz, until timestamptz, hidden text
-- params: edge_rank int, edge_session text, backwards bool, size int
WITH reporting AS MATERIALIZED (   -- sessions of the range: the days around it have many others
    SELECT DISTINCT session_id
    FROM telemetry_telemetryevent
    WHERE (%(since)s::timestamptz IS NOT NULL OR %(until)s::timestamptz IS NOT NULL)
      AND session_id IS NOT NULL
      AND name IN ('task_start', 'task_end', 'command_start', 'command_end', 'artifact_emit')
      AND (%(session)s::text IS NULL OR session_id = %(session)s)
      AND (%(namespaces)s::text[] IS NULL OR namespace = ANY(%(namespaces)s))
      AND occurred_at >= coalesce(%(since)s::timestamptz, '-infinity')
      AND occurred_at < coalesce(%(until)s::timestamptz, 'infinity')
),
events AS (   -- the index telemetry_event_session holds these names
    SELECT
        session_id COLLATE "C" AS session_id,   -- sorted several times: bytes, not a language
        occurred_at,
        name,
        coalesce(task_id, '') COLLATE "C" AS task,
        CASE name WHEN 'task_start' THEN metadata -> 'artifacts_declared' END AS declared,
        CASE name WHEN 'artifact_emit' THEN metadata ->> 'path_name' END COLLATE "C" AS path
    FROM telemetry_telemetryevent
    WHERE session_id IS NOT NULL
      AND (%(since)s::timestamptz IS NULL AND %(until)s::timestamptz IS NULL
           OR session_id = ANY(ARRAY(SELECT r.session_id FROM reporting r)))
      AND name IN ('task_start', 'task_end', 'command_start', 'command_end', 'artifact_emit')
      AND stage IS DISTINCT FROM '{{conductor}}'
      AND (%(session)s::text IS NULL OR session_id = %(session)s)
      AND (%(namespaces)s::text[] IS NULL OR namespace = ANY(%(namespaces)s))
      -- Orbit's own commands and checks are shown if they are asked for. The command that asks
      -- has not ended itself.
      AND (%(session)s::text IS NOT NULL
           OR (namespace IS DISTINCT FROM %(hidden)s
               AND NOT starts_with(session_id, '{{own}}')))
      -- A session of the range is judged by what it did just before and after it, too.
      AND occurred_at >= coalesce(
          %(since)s::timestamptz - {{reach}} * interval '1 day', '-infinity')
      AND occurred_at < coalesce(
          %(until)s::timestamptz + {{reach}} * interval '1 day', 'infinity')
),
facts AS MATERIALIZED (
    SELECT
        session_id,
        bool_or(occurred_at >= coalesce(%(since)s::timestamptz, '-infinity')
                AND occurred_at < coalesce(%(until)s::timestamptz, 'infinity')) AS in_range,
        count(*) FILTER (WHERE name = 'task_start') AS tasks_started,
        count(*) FILTER (WHERE name = 'task_end') AS tasks_ended,
        count(*) FILTER (WHERE name = 'command_start') AS commands_started,
        count(*) FILTER (WHERE name = 'command_end') AS commands_ended,
        count(DISTINCT path) AS artifacts
    FROM events
    GROUP BY session_id
),
tasks AS (
    SELECT
        session_id,
        task,
        bool_or(name = 'task_end') AS ended,
        -- A task that is started again declares the same artifacts again.
        max(declared::numeric) FILTER (WHERE jsonb_typeof(declared) = 'number') AS declared
    FROM events
    WHERE name IN ('task_start', 'task_end')
    GROUP BY session_id, task
    HAVING bool_or(name = 'task_start')
),
task_gaps AS (
    SELECT
        session_id,
        (array_agg(task ORDER BY task) FILTER (WHERE NOT ended))[1:{{listed}}] AS open_tasks,
        count(*) FILTER (WHERE NOT ended) AS open_count,
        sum(declared) AS declared
    FROM tasks
    GROUP BY session_id
),
declared_paths AS (
    SELECT DISTINCT e.session_id, item.value AS path
    FROM events e
    CROSS JOIN LATERAL jsonb_array_elements_text(
        CASE WHEN jsonb_typeof(e.declared) = 'array' THEN e.declared END) AS item
    WHERE e.declared IS NOT NULL AND item.value IS NOT NULL
),
path_gaps AS (
    SELECT
        d.session_id,
        (array_agg('artifact_emit:' || d.path ORDER BY d.path))[1:{{listed}}] AS missing,
        count(*) AS missing_count
    FROM (   -- not a join: that could compare each path with each other one of its session
        SELECT session_id, path FROM declared_paths
        EXCEPT
        SELECT session_id, path FROM events WHERE path IS NOT NULL
    ) AS d
    GROUP BY d.session_id
),
judged AS (
    SELECT
        f.session_id,
        array_remove(ARRAY[
            CASE WHEN starts_with(f.session_id, '{{own}}') THEN NULL
                 WHEN f.tasks_started = 0 THEN 'task_start' END,
            CASE WHEN starts_with(f.session_id, '{{own}}') THEN NULL
                 WHEN f.tasks_ended = 0 OR t.open_count > 0 THEN 'task_end' END,
            CASE WHEN starts_with(f.session_id, '{{ingest_session}}') THEN NULL
                 WHEN f.commands_ended = 0 OR f.commands_ended < f.commands_started
                     THEN 'command_end' END
        ], NULL) AS core,
        coalesce(p.missing, '{}')
            || CASE WHEN f.artifacts < t.declared THEN ARRAY['artifact_emit'] ELSE '{}' END
            AS artifacts,
        coalesce(p.missing_count, 0)
            + greatest(0, coalesce(t.declared, 0) - f.artifacts) AS missing_artifacts,
        coalesce(t.open_tasks, '{}') AS open_tasks
    FROM facts f
    LEFT JOIN task_gaps t USING (session_id)
    LEFT JOIN path_gaps p USING (session_id)
    WHERE f.in_range
),
ranked AS MATERIALIZED (
    SELECT
        *,
        CASE WHEN core <> '{}' THEN 0 WHEN artifacts <> '{}' THEN 1 ELSE 2 END AS rank
    FROM judged
),
placed AS (
    SELECT *, row_number() OVER (ORDER BY rank, session_id) AS place FROM ranked
),
totals AS (
    SELECT
        count(*) AS sessions,
        count(*) FILTER (WHERE rank < 2) AS gaps,
        count(*) FILTER (WHERE rank = 0) AS failed,
        CASE
            WHEN %(edge_rank)s::int IS NULL THEN 0
            WHEN %(backwards)s THEN greatest(0, -%(size)s + count(*) FILTER (
                WHERE (rank, session_id) < (%(edge_rank)s::int, %(edge_session)s::text)))
            ELSE count(*) FILTER (
                WHERE (rank, session_id) <= (%(edge_rank)s::int, %(edge_session)s::text))
        END AS start
    FROM ranked
)
SELECT
    t.sessions, t.gaps, t.failed, t.start,
    p.session_id, p.rank, p.core, p.artifacts, p.missing_artifacts, p.open_tasks
FROM totals t
LEFT JOIN placed p ON p.place > t.start AND p.place <= t.start + %(size)s
ORDER BY p.place
