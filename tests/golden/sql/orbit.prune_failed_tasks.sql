DELETE
FROM django_q_task
WHERE id IN (SELECT id
FROM django_q_task
WHERE stopped < now() - %(days)s * interval '1 day'
ORDER BY stopped
LIMIT %(most)s)
