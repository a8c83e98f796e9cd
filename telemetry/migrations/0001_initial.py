"""The event log, as Django sees it; 0002 creates the partitioned table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    # A database of an earlier checkout has these: it counts as migrated.
    replaces = [
        ("telemetry", "0001_schema"),
        ("telemetry", "0003_list_indexes"),
    ]

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="TelemetryEvent",
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
            ],
            options={
                "db_table": "telemetry_telemetryevent",
                "ordering": ["-occurred_at", "-id"],
                "managed": False,
            },
        ),
    ]
