"""Work of each day is periodic work of governance."""

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('telemetry', '0009_event_lookups'),
    ]

    operations = [
        migrations.DeleteModel(
            name='NightlyRun',
        ),
    ]
