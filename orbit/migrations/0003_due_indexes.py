"""Indexes for claims whose cost doesn't follow the backlog."""

from django.db import migrations, models

from governance.kernel import indexes

CYCLES, TASKS = "orbit_cyclerun", "django_q_ormq"
DUE, USUAL, SUSPECTED = "next_due_at IS NOT NULL", "resumes < 2", "resumes >= 2"


class Migration(migrations.Migration):
    """Not in one transaction: the indexes are built beside running processes."""

    atomic = False
    dependencies = [("orbit", "0002_records")]
    operations = [
        indexes.build("cycle_due_order", f"{CYCLES} (next_due_at, id) WHERE {DUE}"),
        indexes.build(
            "cycle_due_namespace",
            f"{CYCLES} (namespace, next_due_at, id) WHERE {DUE} AND {USUAL}",
        ),
        indexes.build(
            "cycle_suspected",
            f"{CYCLES} (namespace, next_due_at, id) WHERE {DUE} AND {SUSPECTED}",
        ),
        indexes.build("cycle_leased", f"{CYCLES} (namespace) WHERE lease_owner IS NOT NULL"),
        indexes.drop("cycle_due", f"{CYCLES} (next_due_at) WHERE {DUE}"),
        indexes.build("orbit_queue_ready_by_key", f"{TASKS} (key, lock, id)"),
        indexes.drop("orbit_queue_ready", f"{TASKS} (lock, id)"),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveIndex("cyclerun", "cycle_due"),
                migrations.AddIndex(
                    "cyclerun",
                    models.Index(
                        fields=["next_due_at", "id"],
                        condition=models.Q(next_due_at__isnull=False),
                        name="cycle_due_order",
                    ),
                ),
                migrations.AddIndex(
                    "cyclerun",
                    models.Index(
                        fields=["namespace", "next_due_at", "id"],
                        condition=models.Q(next_due_at__isnull=False, resumes__lt=2),
                        name="cycle_due_namespace",
                    ),
                ),
                migrations.AddIndex(
                    "cyclerun",
                    models.Index(
                        fields=["namespace", "next_due_at", "id"],
                        condition=models.Q(next_due_at__isnull=False, resumes__gte=2),
                        name="cycle_suspected",
                    ),
                ),
                migrations.AddIndex(
                    "cyclerun",
                    models.Index(
                        fields=["namespace"],
                        condition=models.Q(lease_owner__isnull=False),
                        name="cycle_leased",
                    ),
                ),
            ]
        ),
    ]
