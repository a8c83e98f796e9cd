"""The index that coverage reads: the required events of sessions."""

from django.db import migrations

from governance.kernel import indexes

REQUIRED = "('task_start', 'task_end', 'command_start', 'command_end', 'artifact_emit')"


class Migration(migrations.Migration):
    """Not in one transaction: the index is built beside running processes."""

    atomic = False
    dependencies = [("telemetry", "0007_drop_days")]
    operations = [
        # Without `session_id IS NOT NULL` the pipeline's events would be no longer left out.
        indexes.build_on_partitions(
            "telemetry_event_session",
            "telemetry_telemetryevent",
            f"(session_id, name) WHERE session_id IS NOT NULL AND name IN {REQUIRED}",
        ),
    ]
