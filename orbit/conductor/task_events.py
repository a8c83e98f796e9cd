"""Events of tasks, written by the statement that moves them."""

from governance.kernel import sql

#: A CTE for a statement with the CTE ``changed``.
EVENTS = sql.fragment(__name__, "task_events")
