"""Cycles know the call or tick that created them, so that a repeated one creates none twice."""

from django.db import migrations, models

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
        # One that failed half-way is invalid, and IF NOT EXISTS would keep it.
        migrations.RunSQL(
            "DROP INDEX CONCURRENTLY IF EXISTS one_cycle_per_call", migrations.RunSQL.noop
        ),
        migrations.RunSQL(
            f"CREATE UNIQUE INDEX CONCURRENTLY one_cycle_per_call ON {TABLE} "
            "(call, run_profile_id) WHERE call IS NOT NULL",
            "DROP INDEX CONCURRENTLY IF EXISTS one_cycle_per_call",
            state_operations=[
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
