"""Keys for what waits for its turn, and for the ledger of ticks by schedule and by outcome."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orbit", "0005_dead_letters")]

    operations = [
        migrations.AddIndex(
            model_name="cyclerun",
            index=models.Index(fields=["namespace", "id"], condition=models.Q(status="queued"), name="cycle_queued"),
        ),
        migrations.AddIndex(model_name="crontick", index=models.Index(fields=["schedule", "-id"], name="tick_schedule")),
        migrations.AddIndex(model_name="crontick", index=models.Index(fields=["schedule", "-due_at"], name="tick_schedule_due")),
        migrations.AddIndex(
            model_name="crontick",
            index=models.Index(
                fields=["outcome", "-id"], condition=models.Q(outcome__in=["skipped", "refused", "missed", "late"]), name="tick_notable"
            ),
        ),
    ]
