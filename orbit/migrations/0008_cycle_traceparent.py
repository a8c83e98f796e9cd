"""The caller's span that triggered a cycle."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orbit", "0007_wide_queue_ids")]

    operations = [
        # Without a default, so that no row is written.
        migrations.AddField(
            model_name="cyclerun",
            name="traceparent",
            field=models.CharField(max_length=55, null=True),
        ),
    ]
