"""The queue's ids have 64 bits: 2^31 wake-ups are a few years."""

from django.db import migrations

from governance.kernel.wide_ids import widen


class Migration(migrations.Migration):
    dependencies = [
        ("orbit", "0006_suspected_indexes"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]
    operations = [
        widen("django_q_ormq", "id"),
        widen("django_q_schedule", "id"),
    ]
