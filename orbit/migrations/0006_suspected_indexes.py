"""Cycles that may kill their worker leave the index of the others, and are found by age."""

from django.db import migrations, models

from governance.kernel import indexes

TABLE, COLUMNS = "orbit_cyclerun", "next_due_at, id"
FREE, SUSPECTED = (
    "next_due_at IS NOT NULL AND resumes < 2",
    "next_due_at IS NOT NULL AND resumes >= 2",
)


class Migration(migrations.Migration):
    """Not in one transaction: the indexes are built beside running processes."""

    atomic = False
    dependencies = [("orbit", "0005_calls")]
    operations = [
        indexes.build("cycle_due_free", f"{TABLE} ({COLUMNS}) WHERE {FREE}"),
        indexes.build("cycle_suspected_order", f"{TABLE} ({COLUMNS}) WHERE {SUSPECTED}"),
        indexes.drop("cycle_due_order", f"{TABLE} ({COLUMNS}) WHERE next_due_at IS NOT NULL"),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveIndex("cyclerun", "cycle_due_order"),
                migrations.AddIndex(
                    "cyclerun",
                    models.Index(
                        fields=["next_due_at", "id"],
                        condition=models.Q(next_due_at__isnull=False, resumes__lt=2),
                        name="cycle_due_free",
                    ),
                ),
                migrations.AddIndex(
                    "cyclerun",
                    models.Index(
                        fields=["next_due_at", "id"],
                        condition=models.Q(next_due_at__isnull=False, resumes__gte=2),
                        name="cycle_suspected_order",
                    ),
                ),
            ]
        ),
    ]
