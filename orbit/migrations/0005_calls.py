"""Cycles know the call or tick that created them, so that a repeated one creates none twice."""

from django.db import migrations, models

from governance.kernel import indexes

TABLE = "orbit_cyclerun"


class Migration(migrations.Migration):
    """Not in one transaction: the index is built beside running processes."""

    atomic = False
    dependencies = [("orbit", "0004_record_default_partitions")]
    operations = [
        migrations.RunSQL(
            f"ALTER TABLE {TABLE} ADD COLUMN IF NOT EXISTS call uuid",
            f"ALTER TABLE {TABLE} DROP COLUMN IF EXISTS call",
            state_operations=[
                migrations.AddField("cyclerun", "call", models.UUIDField(null=True)),
            ],
        ),
        indexes.build(
            "one_cycle_per_call",
            f"{TABLE} (call, run_profile_id) WHERE call IS NOT NULL",
            unique=True,
            state=[
                migrations.AddConstraint(
                    "cyclerun",
                    models.UniqueConstraint(
                        fields=["call", "run_profile_id"],
                        condition=models.Q(call__isnull=False),
                        name="one_cycle_per_call",
                    ),
                )
            ],
        ),
    ]
