"""The outbox: events in the main database that wait for telemetry's own."""

from django.db import migrations, models

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
)
-- A queue: until a vacuum, a search for the oldest row passes the dead ones before it.
WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
CREATE TABLE telemetry_refusedevent (
    LIKE telemetry_outboxevent INCLUDING ALL,
    refused_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason text NOT NULL
);
CREATE TABLE telemetry_outboxstate (
    id smallint PRIMARY KEY CHECK (id = 1),
    forwarded bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    failing_since timestamptz,
    problem text
);
"""
UNOUTBOX = """
DROP TABLE telemetry_outboxstate;
DROP TABLE telemetry_refusedevent;
DROP TABLE telemetry_outboxevent;
"""


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0005_projection_guard")]
    operations = [
        migrations.RunSQL(OUTBOX, UNOUTBOX),
        migrations.CreateModel(
            name="RefusedEvent",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("occurred_at", models.DateTimeField()),
                ("recorded_at", models.DateTimeField()),
                ("name", models.CharField(max_length=100)),
                ("namespace", models.CharField(max_length=100, null=True)),
                ("profile_id", models.CharField(max_length=100, null=True)),
                ("run_id", models.UUIDField(null=True)),
                ("session_id", models.CharField(max_length=200, null=True)),
                ("task_id", models.CharField(max_length=200, null=True)),
                ("stage", models.CharField(max_length=50, null=True)),
                ("level", models.CharField(max_length=10)),
                ("duration_ms", models.FloatField(null=True)),
                ("metadata", models.JSONField()),
                ("refused_at", models.DateTimeField()),
                ("reason", models.TextField()),
            ],
            options={
                "db_table": "telemetry_refusedevent",
                "ordering": ["-refused_at", "-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="OutboxState",
            fields=[
                ("id", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("forwarded", models.BigIntegerField()),
                ("refused", models.BigIntegerField()),
                ("failing_since", models.DateTimeField(null=True)),
                ("problem", models.TextField(null=True)),
            ],
            options={"db_table": "telemetry_outboxstate", "managed": False},
        ),
    ]
