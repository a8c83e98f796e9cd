"""Cycles with open dead letters, the newest first."""

from django.db import migrations, models

from governance.kernel import indexes

LETTER = "orbit_deadletterdispatch"


class Migration(migrations.Migration):
    """Not in one transaction: the index is built beside running processes."""

    atomic = False
    dependencies = [("orbit", "0014_dead_letter_groups")]
    operations = [
        indexes.build(
            "dead_letter_open_cycle",
            f"{LETTER} (cycle_id DESC) WHERE status = 'open'",
            state=[
                migrations.AddIndex(
                    "deadletterdispatch",
                    models.Index(
                        fields=["-cycle"],
                        condition=models.Q(status="open"),
                        name="dead_letter_open_cycle",
                    ),
                )
            ],
        )
    ]
