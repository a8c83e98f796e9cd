"""What the queue's claim needs of Django-Q2's table: an index in the order of readiness."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("orbit", "0002_records"), ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more")]

    operations = [
        migrations.RunSQL("CREATE INDEX orbit_queue_ready ON django_q_ormq (lock, id);", "DROP INDEX orbit_queue_ready;"),
    ]
