-- Project the task events of the staging table aside; the temporary table has no guard.
{{task_rows}}
