"""Ids of users, groups and permissions have 64 bits, and so has every column that holds one."""

from django.conf import settings
from django.db import migrations

from governance.kernel.wide_ids import widen


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0004_open_settings"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    # A table that others refer to comes before them: their foreign keys are checked again.
    operations = [
        widen("django_content_type", "id"),
        widen("auth_permission", "id", "content_type_id"),
        widen("auth_group", "id"),
        widen("auth_user", "id"),
        widen("auth_group_permissions", "group_id", "permission_id"),
        widen("auth_user_groups", "user_id", "group_id"),
        widen("auth_user_user_permissions", "user_id", "permission_id"),
        widen("django_admin_log", "id", "user_id", "content_type_id"),
        widen("governance_apitoken", "owner_id"),
        widen("governance_idempotentrequest", "owner_id"),
        widen("governance_namespacegrant", "user_id"),
        widen("governance_workspacegrant", "user_id"),
    ]
