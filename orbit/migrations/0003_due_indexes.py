"""Indexes for claims whose cost doesn't follow the backlog."""

from django.db import migrations, models

CYCLES, TASKS = "orbit_cyclerun", "django_q_ormq"
DUE, USUAL, SUSPECTED = "next_due_at IS NOT NULL", "resumes < 2", "resumes >= 2"


def build(name: str, table: str, columns: str, condition: str = "") -> list[migrations.RunSQL]:
    """Build an index beside running processes."""
    where = f" WHERE {condition}" if condition else ""
    return [
        # One that failed half-way is invalid, and IF NOT EXISTS would keep it.
        migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {name}", migrations.RunSQL.noop),
        migrations.RunSQL(
            f"CREATE INDEX CONCURRENTLY {name} ON {table} ({columns}){where}",
            f"DROP INDEX CONCURRENTLY IF EXISTS {name}",
        ),
    ]


class Migration(migrations.Migration):
    """Not in one transaction: the indexes are built beside running processes."""

    atomic = False
    dependencies = [("orbit", "0002_records")]
    operations = [
        *build("cycle_due_order", CYCLES, "next_due_at, id", DUE),
        *build("cycle_due_namespace", CYCLES, "namespace, next_due_at, id", f"{DUE} AND {USUAL}"),
        *build("cycle_suspected", CYCLES, "namespace, next_due_at, id", f"{DUE} AND {SUSPECTED}"),
        *build("cycle_leased", CYCLES, "namespace", "lease_owner IS NOT NULL"),
        migrations.RunSQL(
            "DROP INDEX CONCURRENTLY IF EXISTS cycle_due",
            f"CREATE INDEX CONCURRENTLY IF NOT EXISTS cycle_due ON {CYCLES} (next_due_at)"
            f" WHERE {DUE}",
        ),
        *build("orbit_queue_ready_by_key", TASKS, "key, lock, id"),
        migrations.RunSQL(
            "DROP INDEX CONCURRENTLY IF EXISTS orbit_queue_ready",
            f"CREATE INDEX CONCURRENTLY IF NOT EXISTS orbit_queue_ready ON {TASKS} (lock, id)",
        ),
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
