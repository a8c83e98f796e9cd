"""The audit trail has no index for LIKE beside that of its hashes: no query uses it."""

from django.db import migrations

from governance.kernel import indexes


class Migration(migrations.Migration):
    """Not in one transaction: the index is dropped beside running processes."""

    atomic = False
    dependencies = [("governance", "0008_saved_filters")]
    operations = [
        indexes.drop(
            "governance_audittrailentry_hash_a7798599_like",
            "governance_audittrailentry (hash varchar_pattern_ops)",
        )
    ]
