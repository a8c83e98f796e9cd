"""The events of tasks: the statement that changes tasks writes them, so none is lost or doubled.

It has a CTE with the changed rows, and this one beside it::

    changed AS (UPDATE orbit_conductortask t SET .. RETURNING t.*),
    {{events}}

They go to the outbox, also with one database: from there they are stored and projected.
"""

from governance.kernel import sql
from telemetry.events import CONDUCTOR_STAGE

#: task_start, task_end or a decision for each row of `changed`.
EVENTS = sql.fragment(__name__, "task_events", stage=CONDUCTOR_STAGE)
