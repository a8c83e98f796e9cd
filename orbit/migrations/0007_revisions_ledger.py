"""The value ledger's index by time, for totals of a range."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orbit", "0006_schedules")]

    operations = [
        migrations.AddIndex(model_name="valueledgerentry", index=models.Index(fields=["created_at"], name="ledger_time")),
    ]
