UPDATE django_q_ormq
SET key = %s, lock = now() + interval '100 years'
WHERE id = %s
