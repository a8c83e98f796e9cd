"""The number of endpoints of each cluster, and the results of test deliveries."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orbit", "0017_cycles_by_trigger")]
    operations = [
        migrations.AddField(
            "clusternode",
            "endpoints",
            models.PositiveIntegerField(null=True),
        ),
        migrations.AddField(
            "endpointstate",
            "tests",
            models.JSONField(default=list, db_default=[]),
        ),
    ]
