"""Filters of lists that users keep."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

from governance.kernel.wide_ids import widen


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0007_alerts'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name='operationrun',
            index=models.Index(fields=['initiator', '-id'], name='operation_initiator'),
        ),
        migrations.CreateModel(
            name='SavedFilter',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=80)),
                ('address', models.CharField(max_length=100)),
                ('query', models.CharField(max_length=1000)),
                ('namespace', models.CharField(blank=True, max_length=100)),
                ('shared', models.BooleanField()),
                ('pinned_by', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), db_default=[], size=None)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='saved_filters', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('shared', True)), fields=['address'], name='saved_filter_shared')],
                'constraints': [models.UniqueConstraint(fields=('owner', 'address', 'name'), name='one_saved_filter_per_name')],
            },
        ),
        widen("governance_savedfilter", "owner_id"),
    ]
