"""Seeing the whole workspace is a grant of its own, no longer the absence of grants."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Who sees all today goes on seeing all.
KEEP = """
INSERT INTO governance_workspacegrant (user_id)
SELECT u.id
FROM auth_user u
WHERE NOT EXISTS (SELECT 1 FROM governance_namespacegrant g WHERE g.user_id = u.id)
"""
# The older release takes a user without a grant for one who sees all.
LOCK_OUT = """
UPDATE auth_user u
SET is_active = false
WHERE NOT EXISTS (SELECT 1 FROM governance_namespacegrant g WHERE g.user_id = u.id)
  AND NOT EXISTS (SELECT 1 FROM governance_workspacegrant w WHERE w.user_id = u.id)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0002_rules"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="WorkspaceGrant",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="workspace_grant",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.RunSQL(KEEP, LOCK_OUT),
    ]
