"""The index that coverage reads, and the list of differences that reconciliation repairs."""

from django.db import migrations

from governance.kernel import indexes

REQUIRED = "('task_start', 'task_end', 'command_start', 'command_end', 'artifact_emit')"

# Its rows live from the comparison of a run to its repair.
DRIFT = """
CREATE TABLE IF NOT EXISTS telemetry_projectiondrift (
    kind text NOT NULL,
    task_id text NOT NULL,
    -- As the authority tells it; null if it doesn't know the task.
    status text,
    changed_at timestamptz,
    title text,
    priority bigint,
    tags jsonb,
    namespace text,
    -- As the projection told it.
    seen_status text,
    seen_status_ts timestamptz,
    seen_rank smallint,
    PRIMARY KEY (kind, task_id)
);
"""


class Migration(migrations.Migration):
    """Not in one transaction: the index is built beside running processes."""

    atomic = False
    dependencies = [("telemetry", "0007_drop_days")]
    operations = [
        migrations.RunSQL(DRIFT, "DROP TABLE IF EXISTS telemetry_projectiondrift;"),
        # Without `session_id IS NOT NULL` the pipeline's events would be no longer left out.
        indexes.build_on_partitions(
            "telemetry_event_session",
            "telemetry_telemetryevent",
            f"(session_id, name) WHERE session_id IS NOT NULL AND name IN {REQUIRED}",
        ),
    ]
