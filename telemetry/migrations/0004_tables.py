"""Archive, readings, projection; 0005 guards the projection, 0006 creates the outbox."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('telemetry', '0003_event_default_partition'),
    ]

    operations = [
        migrations.CreateModel(
            name='OutboxEvent',
            fields=[
                ('id', models.UUIDField(primary_key=True, serialize=False)),
                ('occurred_at', models.DateTimeField()),
                ('recorded_at', models.DateTimeField()),
                ('name', models.CharField(max_length=100)),
                ('namespace', models.CharField(max_length=100, null=True)),
                ('profile_id', models.CharField(max_length=100, null=True)),
                ('run_id', models.UUIDField(null=True)),
                ('session_id', models.CharField(max_length=200, null=True)),
                ('task_id', models.CharField(max_length=200, null=True)),
                ('stage', models.CharField(max_length=50, null=True)),
                ('level', models.CharField(max_length=10)),
                ('duration_ms', models.FloatField(null=True)),
                ('metadata', models.JSONField()),
            ],
            options={
                'db_table': 'telemetry_outboxevent',
                'ordering': ['id'],
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='TelemetryDay',
            fields=[
                ('day', models.DateField(primary_key=True, serialize=False)),
                ('archived_at', models.DateTimeField(null=True)),
                ('dropped_at', models.DateTimeField(null=True)),
                ('phase', models.CharField(choices=[('open', 'Open'), ('filling', 'Filling'), ('comparing', 'Comparing'), ('archived', 'Archived')], db_default='open', default='open', max_length=10)),
                ('position_at', models.DateTimeField(null=True)),
                ('position_id', models.UUIDField(null=True)),
                ('event_count', models.BigIntegerField(db_default=0, default=0)),
                ('digest', models.DecimalField(db_default=0, decimal_places=0, default=0, max_digits=40)),
            ],
            options={
                'ordering': ['-day'],
                'constraints': [models.CheckConstraint(condition=models.Q(('phase__in', ['open', 'filling', 'comparing', 'archived'])), name='telemetry_day_phase')],
            },
        ),
        migrations.CreateModel(
            name='Artifact',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('event_id', models.UUIDField()),
                ('occurred_at', models.DateTimeField()),
                ('namespace', models.CharField(max_length=100, null=True)),
                ('session_id', models.CharField(max_length=200, null=True)),
                ('task_id', models.CharField(max_length=200, null=True)),
                ('path_name', models.TextField()),
                ('size', models.BigIntegerField()),
                ('sha256', models.CharField(max_length=64, null=True)),
                ('media_type', models.CharField(max_length=200, null=True)),
            ],
            options={
                'ordering': ['-occurred_at', '-id'],
                'indexes': [models.Index(fields=['session_id'], name='artifact_session')],
                'constraints': [models.UniqueConstraint(fields=('occurred_at', 'event_id'), name='one_artifact_per_event'), models.CheckConstraint(condition=models.Q(('size__gte', 0)), name='artifact_size'), models.CheckConstraint(condition=models.Q(('sha256__isnull', True), ('sha256__regex', '^[0-9a-f]{64}$'), _connector='OR'), name='artifact_sha256_is_hex')],
            },
        ),
        migrations.CreateModel(
            name='ErrorGroup',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('namespace', models.CharField(max_length=100, null=True)),
                ('stage', models.CharField(max_length=50, null=True)),
                ('message', models.TextField()),
                ('message_sha256', models.CharField(max_length=64)),
                ('count', models.BigIntegerField()),
                ('first_seen', models.DateTimeField()),
                ('last_seen', models.DateTimeField()),
                ('sample', models.JSONField()),
            ],
            options={
                'ordering': ['-last_seen', '-id'],
                'indexes': [models.Index(fields=['-last_seen', '-id'], name='error_group_newest')],
                'constraints': [models.UniqueConstraint(fields=('day', 'message_sha256', 'stage', 'namespace'), name='one_error_group_per_message', nulls_distinct=False), models.CheckConstraint(condition=models.Q(('count__gt', 0)), name='error_group_count')],
            },
        ),
        migrations.CreateModel(
            name='Metric',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('event_id', models.UUIDField()),
                ('occurred_at', models.DateTimeField()),
                ('namespace', models.CharField(max_length=100, null=True)),
                ('session_id', models.CharField(max_length=200, null=True)),
                ('task_id', models.CharField(max_length=200, null=True)),
                ('name', models.CharField(max_length=200)),
                ('value', models.FloatField()),
                ('labels', models.JSONField(db_default={}, default=dict)),
                ('at', models.GeneratedField(db_persist=True, expression=models.F('occurred_at'), output_field=models.DateTimeField())),
            ],
            options={
                'ordering': ['-occurred_at', '-id'],
                'indexes': [models.Index(fields=['name', '-occurred_at'], name='metric_name')],
                'constraints': [models.UniqueConstraint(fields=('occurred_at', 'event_id', 'name'), name='one_metric_per_event_and_name')],
            },
        ),
        migrations.CreateModel(
            name='NightlyRun',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('job', models.CharField(max_length=60)),
                ('day', models.DateField()),
                ('operation_run_id', models.UUIDField()),
            ],
            options={
                'ordering': ['-day', 'job'],
                'constraints': [models.UniqueConstraint(fields=('job', 'day'), name='one_nightly_run_per_day')],
            },
        ),
        migrations.CreateModel(
            name='PolicyViolation',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('event_id', models.UUIDField()),
                ('occurred_at', models.DateTimeField()),
                ('namespace', models.CharField(max_length=100, null=True)),
                ('session_id', models.CharField(max_length=200, null=True)),
                ('task_id', models.CharField(max_length=200, null=True)),
                ('file', models.TextField()),
                ('policy', models.CharField(max_length=200)),
                ('rule', models.CharField(max_length=200)),
                ('severity', models.CharField(max_length=50)),
                ('host', models.CharField(db_default='', default='', max_length=255)),
            ],
            options={
                'ordering': ['-occurred_at', '-id'],
                'constraints': [models.UniqueConstraint(fields=('occurred_at', 'event_id'), name='one_violation_per_event')],
            },
        ),
        migrations.CreateModel(
            name='TaskProjection',
            fields=[
                ('task_id', models.CharField(max_length=200, primary_key=True, serialize=False)),
                ('namespace', models.CharField(max_length=100, null=True)),
                ('title', models.TextField(null=True)),
                ('status', models.CharField(max_length=20)),
                ('last_status_ts', models.DateTimeField()),
                ('priority', models.BigIntegerField(null=True)),
                ('tags_json', models.JSONField(db_default=[], default=list)),
                ('last_event_ts', models.DateTimeField()),
                ('updated_utc', models.DateTimeField()),
                ('status_rank', models.SmallIntegerField(db_default=0, default=0)),
                ('status_event_id', models.UUIDField(null=True)),
                ('start_ts', models.DateTimeField(null=True)),
                ('start_event_id', models.UUIDField(null=True)),
                ('orphaned_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['-last_event_ts', '-task_id'],
                'indexes': [
                    models.Index(fields=['-last_event_ts', '-task_id'], name='task_projection_newest'),
                    models.Index(fields=['status', '-last_event_ts', '-task_id'], name='task_projection_by_status'),
                ],
                'constraints': [models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'running', 'succeeded', 'failed', 'cancelled', 'orphaned'])), name='task_projection_status')],
            },
        ),
        migrations.CreateModel(
            name='TelemetryArchive',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('namespace', models.CharField(max_length=100, null=True)),
                ('event_count', models.BigIntegerField()),
                ('sha256', models.CharField(max_length=64)),
                ('size', models.BigIntegerField()),
                ('digest', models.DecimalField(db_default=0, decimal_places=0, default=0, max_digits=40)),
                ('created_at', models.DateTimeField()),
                ('verified_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['-day', 'namespace'],
                'constraints': [models.UniqueConstraint(fields=('day', 'namespace'), name='one_archive_per_day_and_namespace', nulls_distinct=False)],
            },
        ),
        migrations.CreateModel(
            name='ArchiveChunk',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('number', models.IntegerField()),
                ('data', models.BinaryField()),
                ('event_count', models.IntegerField()),
                ('sha256', models.CharField(max_length=64)),
                ('archive', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='chunks', to='telemetry.telemetryarchive')),
            ],
            options={
                'ordering': ['archive', 'number'],
                'constraints': [models.UniqueConstraint(fields=('archive', 'number'), name='one_chunk_per_number')],
            },
        ),
    ]
