-- An event as a line of JSON that gives back each of its columns: times with microseconds, floats in
-- their shortest exact form, metadata as the database writes it. `recorded_at` comes last.
-- args: e
left(
    json_strip_nulls(json_build_object(
        'id', {{e}}.id,
        'occurred_at', to_char({{e}}.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'name', {{e}}.name,
        'namespace', {{e}}.namespace,
        'profile_id', {{e}}.profile_id,
        'run_id', {{e}}.run_id,
        'session_id', {{e}}.session_id,
        'task_id', {{e}}.task_id,
        'stage', {{e}}.stage,
        'level', {{e}}.level,
        'duration_ms', {{e}}.duration_ms
    ))::text, -1)
|| ',"metadata":' || {{e}}.metadata::text
|| ',"recorded_at":"'
|| to_char({{e}}.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"}'
