"""The indexes that find the events of a session and of a task."""

from django.db import migrations

from governance.kernel import indexes

TABLE = "telemetry_telemetryevent"


class Migration(migrations.Migration):
    """Not in one transaction: the indexes are built beside running processes."""

    atomic = False
    dependencies = [("telemetry", "0008_session_index")]
    operations = [
        # Of one column, whose repeated values take little space. The pipeline's events have
        # neither, and are not in them.
        indexes.build_on_partitions(
            "telemetry_event_sessions", TABLE, "(session_id) WHERE session_id IS NOT NULL"
        ),
        indexes.build_on_partitions(
            "telemetry_event_tasks", TABLE, "(task_id) WHERE task_id IS NOT NULL"
        ),
    ]
