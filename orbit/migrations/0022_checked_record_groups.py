"""A row of records is one record or a group: that holds for the old rows too."""

from django.db import migrations


class Migration(migrations.Migration):
    """Reads the table, and stops no writer."""

    dependencies = [("orbit", "0021_record_groups")]
    operations = [
        migrations.RunSQL(
            "ALTER TABLE orbit_recordgroup VALIDATE CONSTRAINT record_or_group",
            migrations.RunSQL.noop,
        )
    ]
