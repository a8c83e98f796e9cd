"""When each type of periodic work is due next."""

import django.db.models.deletion
from django.db import migrations, models


# What was once called `telemetry.prune`, with the hash that its new name gives it. What was done
# today isn't done again: telemetry's next migration drops the table that knows.
CARRY_OVER = """
UPDATE governance_operationrun
SET type = 'ops.prune_telemetry',
    identity_hash = '3e153f6427b9085c50c6d83f5511d76277b54fb38488aa1561cedf727c032ad2'
WHERE type = 'telemetry.prune';

DO $$
BEGIN
    IF to_regclass('telemetry_nightlyrun') IS NOT NULL THEN
        INSERT INTO governance_periodicwork (type, every, next_due_at, last_run_id)
        SELECT DISTINCT ON (n.job)
            CASE n.job WHEN 'telemetry.prune' THEN 'ops.prune_telemetry' ELSE n.job END,
            'day',
            (n.day + 1)::timestamp AT TIME ZONE 'UTC',
            r.id
        FROM telemetry_nightlyrun n
        LEFT JOIN governance_operationrun r ON r.id = n.operation_run_id
        ORDER BY n.job, n.day DESC;
    END IF;
END $$;
"""


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
        migrations.RunSQL(CARRY_OVER, migrations.RunSQL.noop),
    ]
