-- Cancel the open ones of the next of a parent's children. See cancel_tasks.sql.
-- params: id text, up_to int, tasks int
{{cancel(t.parent_id = %(id)s)}}
