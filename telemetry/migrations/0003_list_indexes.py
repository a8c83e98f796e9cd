"""An index for the events that people look for in the long list: those that don't only inform."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("telemetry", "0002_event_partitions")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX telemetry_event_notable ON telemetry_telemetryevent (level, occurred_at DESC, id DESC) WHERE level IN ('debug', 'warning', 'error')",
            "DROP INDEX telemetry_event_notable",
        ),
    ]
