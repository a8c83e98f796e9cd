"""Marks of users who look after a cycle or a group of dead letters."""

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("orbit", "0011_retention")]

    operations = [
        migrations.CreateModel(
            name="SeenMark",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=10)),
                ("key", models.CharField(max_length=40)),
                ("by", models.CharField(max_length=200)),
                ("at", models.DateTimeField(db_default=Now())),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["kind", "key"], name="one_seen_mark_per_object"),
                    models.CheckConstraint(
                        condition=models.Q(kind__in=["cycle", "group"]), name="seen_mark_kind"
                    ),
                ],
            },
        ),
    ]
