UPDATE governance_loginattempt
SET told = CASE WHEN failures >= %(max_failures)s THEN 2 ELSE 1 END
WHERE name = %(name)s
AND address = %(address)s
AND told < CASE WHEN failures >= %(max_failures)s THEN 2 ELSE 1 END
RETURNING told, failures, ends_at
