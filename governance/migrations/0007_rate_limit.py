"""How many requests a caller has sent in a minute: written by every request, so without a log, and with room for updates in place."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("governance", "0006_access")]

    operations = [
        migrations.CreateModel(
            name="RequestCount",
            fields=[
                ("caller", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("minute", models.DateTimeField()),
                ("requests", models.PositiveIntegerField()),
            ],
        ),
        migrations.RunSQL(
            "ALTER TABLE governance_requestcount SET UNLOGGED; ALTER TABLE governance_requestcount SET (fillfactor = 50)",
            "ALTER TABLE governance_requestcount RESET (fillfactor); ALTER TABLE governance_requestcount SET LOGGED",
        ),
    ]
