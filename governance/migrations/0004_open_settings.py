"""Find the namespaces that aren't halted, however many are."""

from django.db import migrations, models

from governance.kernel import indexes

NAME = "setting_open"


class Migration(migrations.Migration):
    """Not in one transaction: the index is built beside running processes."""

    atomic = False
    dependencies = [("governance", "0003_workspace_grants")]
    operations = [
        indexes.build(
            NAME,
            "governance_governancesetting (namespace_id) WHERE NOT halt",
            state=[
                migrations.AddIndex(
                    "governancesetting",
                    models.Index(
                        fields=["namespace"], condition=models.Q(halt=False), name=NAME
                    ),
                )
            ],
        ),
    ]
