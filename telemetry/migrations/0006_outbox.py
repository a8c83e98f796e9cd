"""The outbox: events in the main database that wait for telemetry's own."""

from django.db import migrations

OUTBOX = """
CREATE TABLE telemetry_outboxevent (
    id uuid PRIMARY KEY,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    name varchar(100) NOT NULL,
    namespace varchar(100),
    profile_id varchar(100),
    run_id uuid,
    session_id varchar(200),
    task_id varchar(200),
    stage varchar(50),
    level varchar(10) NOT NULL DEFAULT 'info' CHECK (level IN ('debug', 'info', 'warning', 'error')),
    duration_ms double precision CHECK (duration_ms >= 0),
    metadata jsonb NOT NULL DEFAULT '{}'
);
"""


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0005_projection_guard")]
    operations = [migrations.RunSQL(OUTBOX, "DROP TABLE telemetry_outboxevent;")]
