"""Revisions that autonomy makes."""

from django.db import migrations, models

SOURCES = ("files", "reload", "admin", "api", "proposal", "autonomy")


class Migration(migrations.Migration):
    dependencies = [("orbit", "0008_cycle_traceparent")]

    operations = [
        operation
        for model, name in (
            ("profilerevision", "profile_revision_source"),
            ("runprofilerevision", "run_profile_revision_source"),
        )
        for operation in (
            migrations.RemoveConstraint(model_name=model, name=name),
            migrations.AddConstraint(
                model_name=model,
                constraint=models.CheckConstraint(
                    condition=models.Q(source__in=SOURCES), name=name
                ),
            ),
        )
    ]
