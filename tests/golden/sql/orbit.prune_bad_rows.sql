DELETE
FROM django_q_ormq
WHERE id IN (SELECT id
FROM django_q_ormq
WHERE lock > now() + interval '90 years'
AND lock < now() + interval '100 years' - %(days)s * interval '1 day'
AND key = %(key)s
ORDER BY lock
LIMIT %(most)s)
