-- Lock schedules that are due, except those that another process is working on.
-- params: func text, now timestamptz, broken int[], most int
SELECT {{schedule_columns}}, coalesce(%(now)s, now())
FROM django_q_schedule
WHERE func = %(func)s
  AND repeats <> 0                                                    -- it is on
  AND (next_run IS NULL OR next_run <= coalesce(%(now)s, now()))      -- NULL: not computed yet
  AND id <> ALL(%(broken)s::int[])                                    -- seen in this pass
ORDER BY id
LIMIT %(most)s
FOR UPDATE SKIP LOCKED
