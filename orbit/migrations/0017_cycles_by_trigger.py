"""Cycles that users and scripts started."""

from django.db import migrations, models

from governance.kernel import indexes


class Migration(migrations.Migration):
    """Not in one transaction: the index is built beside running processes."""

    atomic = False
    dependencies = [("orbit", "0016_settings_hash")]
    operations = [
        indexes.build(
            "cycle_by_trigger",
            "orbit_cyclerun (trigger, id DESC) WHERE trigger IN ('rest', 'admin', 'command')",
            state=[
                migrations.AddIndex(
                    "cyclerun",
                    models.Index(
                        fields=["trigger", "-id"],
                        condition=models.Q(trigger__in=["rest", "admin", "command"]),
                        name="cycle_by_trigger",
                    ),
                )
            ],
        )
    ]
