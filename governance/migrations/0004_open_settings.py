"""Find the namespaces that aren't halted, however many are."""

from django.db import migrations, models

NAME = "setting_open"


class Migration(migrations.Migration):
    """Not in one transaction: the index is built beside running processes."""

    atomic = False
    dependencies = [("governance", "0003_workspace_grants")]
    operations = [
        # One that failed half-way is invalid, and IF NOT EXISTS would keep it.
        migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}", migrations.RunSQL.noop),
        migrations.RunSQL(
            f"CREATE INDEX CONCURRENTLY {NAME} ON governance_governancesetting (namespace_id)"
            " WHERE NOT halt",
            f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}",
            state_operations=[
                migrations.AddIndex(
                    "governancesetting",
                    models.Index(
                        fields=["namespace"], condition=models.Q(halt=False), name=NAME
                    ),
                )
            ],
        ),
    ]
