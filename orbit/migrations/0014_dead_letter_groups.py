"""Groups of open letters are read from an index alone; endpoints remember their last test."""

from django.db import migrations, models

from governance.kernel import indexes

LETTER = "orbit_deadletterdispatch"
OPEN, REQUEUED = models.Q(status="open"), models.Q(status="requeued")


class Migration(migrations.Migration):
    """Not in one transaction: the indexes are built beside running processes."""

    atomic = False
    dependencies = [("orbit", "0013_roll_up")]
    operations = [
        # An interrupted migration begins again.
        migrations.RunSQL(
            "ALTER TABLE orbit_endpointstate ADD COLUMN IF NOT EXISTS tested_at timestamptz",
            "ALTER TABLE orbit_endpointstate DROP COLUMN IF EXISTS tested_at",
            state_operations=[
                migrations.AddField("endpointstate", "tested_at", models.DateTimeField(null=True))
            ],
        ),
        indexes.build(
            "dead_letter_open_groups",
            f"{LETTER} (id) INCLUDE (error_group, namespace, endpoint_key, created_at)"
            " WHERE status = 'open'",
            state=[
                migrations.AddIndex(
                    "deadletterdispatch",
                    models.Index(
                        fields=["id"],
                        include=["error_group", "namespace", "endpoint_key", "created_at"],
                        condition=OPEN,
                        name="dead_letter_open_groups",
                    ),
                ),
                migrations.RemoveIndex("deadletterdispatch", "dead_letter_open_id"),
            ],
        ),
        indexes.build(
            "dead_letter_requeued",
            f"{LETTER} (error_group, namespace, resolved_at) WHERE status = 'requeued'",
            state=[
                migrations.AddIndex(
                    "deadletterdispatch",
                    models.Index(
                        fields=["error_group", "namespace", "resolved_at"],
                        condition=REQUEUED,
                        name="dead_letter_requeued",
                    ),
                )
            ],
        ),
        indexes.drop("dead_letter_open_id", f"{LETTER} (id) WHERE status = 'open'"),
    ]
