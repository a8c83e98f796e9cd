"""What all processes know of a receiver, one row each; the snapshots that are there get theirs."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orbit', '0003_queue'),
    ]

    operations = [
        migrations.CreateModel(
            name='EndpointState',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('endpoint_key', models.CharField(max_length=100)),
                ('host', models.CharField(max_length=255)),
                ('max_concurrency', models.PositiveIntegerField(null=True)),
                ('rate_per_second', models.FloatField(null=True)),
                ('failures', models.PositiveIntegerField(db_default=0, default=0)),
                ('failed_job', models.UUIDField(null=True)),
                ('several', models.BooleanField(db_default=False, default=False)),
                ('last_error', models.TextField(db_default='', default='')),
                ('opened_at', models.DateTimeField(null=True)),
                ('probe_at', models.DateTimeField(null=True)),
                ('probe_wait', models.FloatField(null=True)),
                ('hold_until', models.DateTimeField(null=True)),
                ('next_slot_at', models.DateTimeField(null=True)),
                ('next_turn_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['endpoint_key', 'host'],
                'constraints': [models.UniqueConstraint(fields=('endpoint_key', 'host'), name='one_state_per_receiver'), models.CheckConstraint(condition=models.Q(models.Q(('opened_at__isnull', True), ('probe_at__isnull', True), ('probe_wait__isnull', True)), models.Q(('opened_at__isnull', False), ('probe_at__isnull', False), ('probe_wait__isnull', False)), _connector='OR'), name='open_circuit_is_probed')],
            },
        ),
        migrations.AddField(
            model_name='endpointsnapshot',
            name='state',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='orbit.endpointstate'),
        ),
        migrations.RunSQL(
            """INSERT INTO orbit_endpointstate (id, endpoint_key, host)
               SELECT gen_random_uuid(), s.endpoint_key, s.host FROM (SELECT DISTINCT endpoint_key, host FROM orbit_endpointsnapshot) AS s;
               UPDATE orbit_endpointsnapshot s SET state_id = e.id FROM orbit_endpointstate e WHERE e.endpoint_key = s.endpoint_key AND e.host = s.host;""",
            migrations.RunSQL.noop,
        ),
    ]
