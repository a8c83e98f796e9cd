"""Logins that failed, for the lock-out; indexes for the filters of the audit trail."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("governance", "0005_list_indexes")]

    operations = [
        migrations.CreateModel(
            name="LoginAttempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200)),
                ("address", models.CharField(max_length=50)),
                ("failures", models.PositiveSmallIntegerField()),
                ("told", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("since", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["-ends_at"],
                "indexes": [models.Index(fields=["ends_at"], name="login_attempt_end")],
                "constraints": [models.UniqueConstraint(fields=("name", "address"), name="one_count_per_name_and_address")],
            },
        ),
        migrations.AddIndex(model_name="audittrailentry", index=models.Index(fields=["at"], name="audit_at")),
        migrations.AddIndex(model_name="audittrailentry", index=models.Index(fields=["actor", "-id"], name="audit_actor")),
        migrations.AddIndex(model_name="audittrailentry", index=models.Index(fields=["action", "-id"], name="audit_action")),
        migrations.AddIndex(
            model_name="audittrailentry",
            index=models.Index(condition=models.Q(("request_id", ""), _negated=True), fields=["request_id", "-id"], name="audit_request"),
        ),
    ]
