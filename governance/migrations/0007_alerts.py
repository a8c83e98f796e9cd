"""Alerts, the outbox of their messages, and how far their evaluation has come."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0006_periodic_work'),
    ]

    operations = [
        migrations.CreateModel(
            name='Alert',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('condition', models.CharField(max_length=40)),
                ('object', models.CharField(max_length=250)),
                ('namespace', models.CharField(max_length=100, null=True)),
                ('summary', models.TextField()),
                ('link', models.CharField(db_default='', default='', max_length=400)),
                ('count', models.PositiveIntegerField(db_default=1, default=1)),
                ('first_seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('last_seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('acknowledged_by', models.CharField(db_default='', default='', max_length=200)),
                ('acknowledged_at', models.DateTimeField(null=True)),
                ('acknowledged_reason', models.TextField(db_default='', default='')),
                ('resolved_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['-id'],
                'indexes': [models.Index(condition=models.Q(('resolved_at__isnull', True)), fields=['-id'], name='alert_open'), models.Index(fields=['namespace', '-id'], name='alert_namespace'), models.Index(condition=models.Q(('resolved_at__isnull', False)), fields=['resolved_at', 'id'], name='alert_resolved')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('resolved_at__isnull', True)), fields=('condition', 'object'), name='one_open_alert')],
            },
        ),
        migrations.CreateModel(
            name='AlertWatch',
            fields=[
                ('id', models.SmallIntegerField(primary_key=True, serialize=False)),
                ('evaluated_at', models.DateTimeField(null=True)),
                ('audit_number', models.BigIntegerField(db_default=0, default=0)),
                ('audit_hash', models.CharField(db_default='', default='', max_length=64)),
                ('pinged_at', models.DateTimeField(null=True)),
                ('ping_succeeded_at', models.DateTimeField(null=True)),
                ('ping_error', models.TextField(db_default='', default='')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='alert_watch_is_one_row')],
            },
        ),
        migrations.CreateModel(
            name='Notification',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('channel', models.CharField(max_length=120)),
                ('phase', models.CharField(max_length=6)),
                ('document', models.JSONField()),
                ('status', models.CharField(db_default='pending', default='pending', max_length=9)),
                ('attempts', models.PositiveSmallIntegerField(db_default=0, default=0)),
                ('next_attempt_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), null=True)),
                ('last_error', models.TextField(db_default='', default='')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('finished_at', models.DateTimeField(null=True)),
                ('alert', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='notifications', to='governance.alert')),
            ],
            options={
                'ordering': ['-id'],
                'indexes': [models.Index(condition=models.Q(('status', 'pending')), fields=['next_attempt_at', 'id'], name='notification_due'), models.Index(condition=models.Q(('status', 'failed')), fields=['-id'], name='notification_failed')],
                'constraints': [models.UniqueConstraint(fields=('alert', 'channel', 'phase'), name='one_notification_per_phase'), models.CheckConstraint(condition=models.Q(('phase__in', ['opened', 'closed'])), name='notification_phase'), models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'delivered', 'failed'])), name='notification_status'), models.CheckConstraint(condition=models.Q(models.Q(('finished_at__isnull', True), ('next_attempt_at__isnull', False), ('status', 'pending')), models.Q(models.Q(('status', 'pending'), _negated=True), ('finished_at__isnull', False), ('next_attempt_at__isnull', True)), _connector='OR'), name='pending_notification_is_due')],
            },
        ),
    ]
