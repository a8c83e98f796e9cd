"""When each type of periodic work is due next."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0005_wide_ids'),
    ]

    operations = [
        migrations.CreateModel(
            name='PeriodicWork',
            fields=[
                ('type', models.CharField(max_length=60, primary_key=True, serialize=False)),
                ('every', models.CharField(max_length=6)),
                ('next_due_at', models.DateTimeField()),
                ('last_run', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='governance.operationrun')),
            ],
            options={
                'ordering': ['type'],
                'constraints': [models.CheckConstraint(condition=models.Q(('every__in', ['minute', 'hour', 'day'])), name='periodic_work_every')],
            },
        ),
    ]
