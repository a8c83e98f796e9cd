"""Re-runs: the cycle that one repeats, and the tiers that it takes over; indexes for what people look for in long lists."""

import django.db.models.deletion
from django.db import migrations, models

# On the partitioned table, so that partitions to come have it too; the many that only inform stay out of it.
NOTABLE = "CREATE INDEX record_notable ON orbit_executionrecord (level, partition_key DESC, id DESC) WHERE level IN ('debug', 'warning', 'error')"


class Migration(migrations.Migration):
    dependencies = [("orbit", "0007_revisions_ledger")]

    operations = [
        migrations.AddField(
            model_name="cyclerun",
            name="rerun_of",
            field=models.ForeignKey(
                db_column="rerun_of", db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="reruns", to="orbit.cyclerun"
            ),
        ),
        migrations.AddField(model_name="cyclerun", name="takeover", field=models.JSONField(null=True)),
        migrations.AddField(
            model_name="transformation",
            name="taken_from",
            field=models.ForeignKey(
                db_column="taken_from", db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="taken", to="orbit.transformation"
            ),
        ),
        migrations.RemoveConstraint(model_name="transformation", name="transformation_success_has_output"),
        migrations.AddConstraint(
            model_name="transformation",
            constraint=models.CheckConstraint(
                condition=models.Q(("output__isnull", False), ("taken_from__isnull", False), models.Q(("status", "success"), _negated=True), _connector="OR"),
                name="transformation_success_has_output",
            ),
        ),
        migrations.AddConstraint(
            model_name="cyclerun",
            constraint=models.CheckConstraint(
                condition=models.Q(("rerun_of__isnull", True), ("takeover__isnull", False), _connector="OR"), name="rerun_has_its_takeover"
            ),
        ),
        migrations.AddIndex(
            model_name="cyclerun",
            index=models.Index(condition=models.Q(("rerun_of__isnull", False)), fields=["rerun_of", "id"], name="cycle_reruns"),
        ),
        migrations.AddIndex(
            model_name="cyclerun", index=models.Index(condition=models.Q(("resumes__gt", 0)), fields=["resumes"], name="cycle_resumed")
        ),
        migrations.AddIndex(
            model_name="transformation",
            index=models.Index(condition=models.Q(("taken_from__isnull", False)), fields=["taken_from"], name="transformation_taken"),
        ),
        migrations.AddIndex(
            model_name="deliveryreceipt",
            index=models.Index(condition=models.Q(("status__in", ["failed", "unknown", "unsent"])), fields=["status", "-id"], name="receipt_notable"),
        ),
        migrations.RunSQL(NOTABLE, "DROP INDEX record_notable"),
    ]
