"""Initiations have no index for LIKE beside that of their hashes: no query uses it."""

from django.db import migrations

from governance.kernel import indexes


class Migration(migrations.Migration):
    """Not in one transaction: the index is dropped beside running processes."""

    atomic = False
    dependencies = [("orbit", "0018_endpoints_in_use")]
    operations = [
        # Django made it with the unique one.
        indexes.drop(
            "orbit_initiation_initiation_hash_a1b9cdcd_like",
            "orbit_initiation (initiation_hash varchar_pattern_ops)",
        )
    ]
