-- The schedules called `names`, and those whose name starts with `family`.
-- params: func text, names text[], family text
SELECT DISTINCT ON (name) {{schedule_columns}}
FROM django_q_schedule
WHERE func = %(func)s
  AND (name = ANY(%(names)s) OR starts_with(name, %(family)s))
ORDER BY name, id
