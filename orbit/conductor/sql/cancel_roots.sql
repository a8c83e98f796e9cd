-- Cancel the open ones of the next of a run's roots. See cancel_tasks.sql.
-- params: id text, up_to int, tasks int
{{cancel(t.run_id = %(id)s AND t.parent_id IS NULL)}}
