-- The statements that take longest on average, of those that ran ten times or more.
SELECT left(regexp_replace(query, '\s+', ' ', 'g'), 200), calls, mean_exec_time, total_exec_time
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND calls >= 10
  AND query !~* 'password\s+'''   -- ALTER ROLE is kept as it was typed
ORDER BY mean_exec_time DESC
LIMIT 5
