SELECT set_config('statement_timeout', %(milliseconds)s::text, false)
WHERE current_setting('statement_timeout')::interval NOT BETWEEN interval '1 millisecond'
AND %(milliseconds)s * interval '1 millisecond'
