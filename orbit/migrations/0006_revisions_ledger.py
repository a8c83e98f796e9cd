"""The value ledger's index by time, for totals of a range."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("orbit", "0005_dead_letters")]

    operations = [
        migrations.AddIndex(model_name="valueledgerentry", index=BrinIndex(fields=["created_at"], autosummarize=True, name="ledger_time")),
    ]
