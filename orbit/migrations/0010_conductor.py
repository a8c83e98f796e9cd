"""Conductor runs and tasks; triggers keep their transitions and count them."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


FUNCTIONS = """
CREATE FUNCTION orbit_check_conductor_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (CASE OLD.state
        WHEN 'PENDING' THEN NEW.state IN ('RUNNING', 'CANCELLED')
        WHEN 'RUNNING' THEN NEW.state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
        WHEN 'FAILED' THEN NEW.state IN ('RUNNING', 'CANCELLED')
        ELSE false END) THEN
        RAISE EXCEPTION 'The task % is %, so it can''t become %.', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'conductor_task_transition';
    END IF;
    -- Later than the one before, also when the clock was set back: events go by it.
    NEW.state_changed_at := greatest(clock_timestamp(), OLD.state_changed_at + interval '1 us');
    RETURN NEW;
END $$;

CREATE FUNCTION orbit_check_conductor_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (CASE OLD.state
        WHEN 'PENDING' THEN NEW.state IN ('RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')
        WHEN 'RUNNING' THEN NEW.state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
        WHEN 'FAILED' THEN NEW.state IN ('RUNNING', 'CANCELLED')
        ELSE false END) THEN
        RAISE EXCEPTION 'The run % is %, so it can''t become %.', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'conductor_run_transition';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION orbit_tally_conductor_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO orbit_conductortally (run_id, parent_id, pending, running, retrying, succeeded, failed, cancelled)
    SELECT d.run_id, d.parent_id, d.pending, d.running, d.retrying, d.succeeded, d.failed, d.cancelled
    FROM (
        SELECT n.run_id, n.parent_id,
            sum((n.state = 'PENDING')::int - (o.state = 'PENDING')::int) AS pending,
            sum((n.state = 'RUNNING')::int - (o.state = 'RUNNING')::int) AS running,
            sum((n.state = 'FAILED' AND n.ready)::int - (o.state = 'FAILED' AND o.ready)::int) AS retrying,
            sum((n.state = 'SUCCEEDED')::int - (o.state = 'SUCCEEDED')::int) AS succeeded,
            sum((n.state = 'FAILED' AND NOT n.ready)::int - (o.state = 'FAILED' AND NOT o.ready)::int) AS failed,
            sum((n.state = 'CANCELLED')::int - (o.state = 'CANCELLED')::int) AS cancelled
        FROM new_rows n
        JOIN old_rows o ON o.id = n.id
        WHERE n.state <> o.state OR n.state = 'FAILED' AND n.ready <> o.ready
        GROUP BY n.run_id, n.parent_id
    ) d
    WHERE (d.pending, d.running, d.retrying, d.succeeded, d.failed, d.cancelled) <> (0, 0, 0, 0, 0, 0)
    UNION ALL
    -- Nothing changed among its children yet: aggregate is to cancel those that are open.
    SELECT n.run_id, n.id, 0, 0, 0, 0, 0, 0
    FROM new_rows n
    JOIN old_rows o ON o.id = n.id
    WHERE n.is_parent AND n.state = 'CANCELLED' AND o.state <> 'CANCELLED';
    RETURN NULL;
END $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'orbit_check_conductor_task', 'orbit_check_conductor_run', 'orbit_tally_conductor_tasks'] LOOP
        EXECUTE format('ALTER FUNCTION %I() SET search_path = %I, pg_temp', name, current_schema());
    END LOOP;
END $$;
"""
NO_FUNCTIONS = """
DROP FUNCTION orbit_tally_conductor_tasks();
DROP FUNCTION orbit_check_conductor_run();
DROP FUNCTION orbit_check_conductor_task();
"""

# A child's key has its run, so it is in the run of its parent. A root's run is checked by a column
# that children leave empty: one check per row.
TRIGGERS = """
ALTER TABLE orbit_conductortask
    ADD COLUMN root_run_id varchar(26) COLLATE "C" GENERATED ALWAYS AS (CASE WHEN parent_id IS NULL THEN run_id END) STORED,
    ADD CONSTRAINT conductor_root_of_run FOREIGN KEY (root_run_id) REFERENCES orbit_conductorrun (id),
    ADD CONSTRAINT conductor_child_of_parent FOREIGN KEY (run_id, parent_id) REFERENCES orbit_conductortask (run_id, id),
    ADD CONSTRAINT conductor_task_ulid CHECK (id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$');
ALTER TABLE orbit_conductorrun
    ADD CONSTRAINT conductor_run_ulid CHECK (id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$');
CREATE TRIGGER check_transition BEFORE UPDATE OF state ON orbit_conductortask
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION orbit_check_conductor_task();
CREATE TRIGGER check_transition BEFORE UPDATE OF state ON orbit_conductorrun
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION orbit_check_conductor_run();
CREATE TRIGGER tally_changes AFTER UPDATE ON orbit_conductortask
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION orbit_tally_conductor_tasks();
ALTER TABLE orbit_conductorrun ENABLE ALWAYS TRIGGER check_transition;
ALTER TABLE orbit_conductortask ENABLE ALWAYS TRIGGER check_transition;
ALTER TABLE orbit_conductortask ENABLE ALWAYS TRIGGER tally_changes;
"""
NO_TRIGGERS = """
DROP TRIGGER tally_changes ON orbit_conductortask;
DROP TRIGGER check_transition ON orbit_conductortask;
DROP TRIGGER check_transition ON orbit_conductorrun;
ALTER TABLE orbit_conductorrun DROP CONSTRAINT conductor_run_ulid;
ALTER TABLE orbit_conductortask
    DROP CONSTRAINT conductor_task_ulid,
    DROP CONSTRAINT conductor_child_of_parent,
    DROP CONSTRAINT conductor_root_of_run,
    DROP COLUMN root_run_id;
"""


def leave_out_like_indexes(apps, schema_editor):
    """Django is about to make an index for LIKE beside each primary key; by bytes, that key serves it."""
    schema_editor.deferred_sql = [
        statement for statement in schema_editor.deferred_sql if '_pattern_ops' not in str(statement)
    ]


class Migration(migrations.Migration):

    dependencies = [
        ('orbit', '0009_autonomy_source'),
    ]

    operations = [
        migrations.CreateModel(
            name='ConductorTask',
            fields=[
                ('id', models.CharField(db_collation='C', editable=False, max_length=26, primary_key=True, serialize=False)),
                ('index', models.IntegerField()),
                ('namespace', models.CharField(max_length=100)),
                ('name', models.CharField(max_length=300)),
                ('state', models.CharField(max_length=10)),
                ('is_parent', models.BooleanField(db_default=False, default=False)),
                ('ready', models.BooleanField()),
                ('priority', models.IntegerField(db_default=0, default=0)),
                ('attempt', models.IntegerField(db_default=0, default=0)),
                ('max_attempts', models.IntegerField(db_default=1, default=1)),
                ('input', models.JSONField(null=True)),
                ('output', models.JSONField(null=True)),
                ('error', models.TextField(null=True)),
                ('lease_token', models.UUIDField(null=True)),
                ('lease_expires_at', models.DateTimeField(null=True)),
                ('lease_seconds', models.SmallIntegerField(null=True)),
                ('worker', models.CharField(max_length=200, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('state_changed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('started_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('parent', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='children', to='orbit.conductortask')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='ConductorRun',
            fields=[
                ('pending', models.IntegerField(db_default=0, default=0)),
                ('running', models.IntegerField(db_default=0, default=0)),
                ('retrying', models.IntegerField(db_default=0, default=0)),
                ('succeeded', models.IntegerField(db_default=0, default=0)),
                ('failed', models.IntegerField(db_default=0, default=0)),
                ('cancelled', models.IntegerField(db_default=0, default=0)),
                ('id', models.CharField(db_collation='C', editable=False, max_length=26, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=200)),
                ('namespace', models.CharField(max_length=100)),
                ('state', models.CharField(max_length=10)),
                ('created_by', models.CharField(max_length=200)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('started_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('cancel_requested_at', models.DateTimeField(null=True)),
                ('open_roots', models.IntegerField()),
                ('failed_roots', models.IntegerField(db_default=0, default=0)),
                ('cancelled_roots', models.IntegerField(db_default=0, default=0)),
                ('is_cancelling', models.BooleanField(db_default=False, default=False)),
                ('cancelled_up_to', models.IntegerField(db_default=0, default=0)),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='ConductorTally',
            fields=[
                ('pending', models.IntegerField(db_default=0, default=0)),
                ('running', models.IntegerField(db_default=0, default=0)),
                ('retrying', models.IntegerField(db_default=0, default=0)),
                ('succeeded', models.IntegerField(db_default=0, default=0)),
                ('failed', models.IntegerField(db_default=0, default=0)),
                ('cancelled', models.IntegerField(db_default=0, default=0)),
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('run_id', models.CharField(db_collation='C', max_length=26)),
                ('parent_id', models.CharField(db_collation='C', max_length=26, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='ConductorParent',
            fields=[
                ('pending', models.IntegerField(db_default=0, default=0)),
                ('running', models.IntegerField(db_default=0, default=0)),
                ('retrying', models.IntegerField(db_default=0, default=0)),
                ('succeeded', models.IntegerField(db_default=0, default=0)),
                ('failed', models.IntegerField(db_default=0, default=0)),
                ('cancelled', models.IntegerField(db_default=0, default=0)),
                ('task', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, serialize=False, to='orbit.conductortask')),
                ('namespace', models.CharField(max_length=100)),
                ('failure_policy', models.CharField(max_length=10)),
                ('tolerated', models.IntegerField(null=True)),
                ('fanout', models.IntegerField(null=True)),
                ('fanned_out', models.IntegerField(db_default=0, default=0)),
                ('is_fanned_out', models.BooleanField(db_default=False, default=False)),
                ('fanned_out_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('is_cancelling', models.BooleanField(db_default=False, default=False)),
                ('cancelled_up_to', models.IntegerField(db_default=0, default=0)),
                ('is_retrying', models.BooleanField(db_default=False, default=False)),
                ('retried_up_to', models.IntegerField(db_default=0, default=0)),
            ],
        ),
        migrations.AddField(
            model_name='conductortask',
            name='run',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='tasks', to='orbit.conductorrun'),
        ),
        migrations.AddIndex(
            model_name='conductorrun',
            index=models.Index(fields=['namespace', '-id'], name='conductor_run_namespace'),
        ),
        migrations.AddIndex(
            model_name='conductorrun',
            index=models.Index(condition=models.Q(('state__in', ['PENDING', 'RUNNING'])), fields=['namespace', 'id'], name='conductor_run_open'),
        ),
        migrations.AddIndex(
            model_name='conductorrun',
            index=models.Index(fields=['state', '-id'], name='conductor_run_state_newest'),
        ),
        migrations.AddIndex(
            model_name='conductorrun',
            index=models.Index(condition=models.Q(('finished_at__isnull', False)), fields=['finished_at', 'id'], name='conductor_run_finished'),
        ),
        migrations.AddIndex(
            model_name='conductorrun',
            index=models.Index(condition=models.Q(('is_cancelling', True)), fields=['id'], name='conductor_run_cancelling'),
        ),
        migrations.AddConstraint(
            model_name='conductorrun',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED'])), name='conductor_run_state'),
        ),
        migrations.AddConstraint(
            model_name='conductorrun',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('finished_at__isnull', False), ('state__in', ['SUCCEEDED', 'FAILED', 'CANCELLED'])), models.Q(('finished_at__isnull', True), ('state__in', ['PENDING', 'RUNNING'])), _connector='OR'), name='conductor_run_finished_at_its_end'),
        ),
        migrations.AddIndex(
            model_name='conductortally',
            index=models.Index(fields=['run_id', 'parent_id'], name='conductor_tally_run'),
        ),
        migrations.AddIndex(
            model_name='conductorparent',
            index=models.Index(condition=models.Q(('is_cancelling', False), ('is_fanned_out', False)), fields=['namespace', 'fanned_out_at', 'task'], name='conductor_parent_to_fan_out'),
        ),
        migrations.AddIndex(
            model_name='conductorparent',
            index=models.Index(condition=models.Q(('is_cancelling', True)), fields=['task'], name='conductor_parent_cancelling'),
        ),
        migrations.AddIndex(
            model_name='conductorparent',
            index=models.Index(condition=models.Q(('is_retrying', True)), fields=['task'], name='conductor_parent_retrying'),
        ),
        migrations.AddConstraint(
            model_name='conductorparent',
            constraint=models.CheckConstraint(condition=models.Q(('failure_policy__in', ['wait_all', 'fail_fast', 'tolerate'])), name='conductor_failure_policy'),
        ),
        migrations.AddConstraint(
            model_name='conductorparent',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('failure_policy', 'tolerate'), ('tolerated__gte', 0)), models.Q(models.Q(('failure_policy', 'tolerate'), _negated=True), ('tolerated__isnull', True)), _connector='OR'), name='conductor_tolerated_of_its_policy'),
        ),
        migrations.AddConstraint(
            model_name='conductorparent',
            constraint=models.CheckConstraint(condition=models.Q(('fanned_out__gte', 0), models.Q(('fanout__isnull', True), ('fanned_out__lte', models.F('fanout')), _connector='OR')), name='conductor_fanned_out_of_fanout'),
        ),
        migrations.AddIndex(
            model_name='conductortask',
            index=models.Index(models.F('namespace'), models.OrderBy(models.F('priority'), descending=True), models.F('id'), condition=models.Q(('ready', True)), name='conductor_task_ready'),
        ),
        migrations.AddIndex(
            model_name='conductortask',
            index=models.Index(models.F('run'), models.OrderBy(models.F('priority'), descending=True), models.F('id'), condition=models.Q(('ready', True)), name='conductor_task_ready_in_run'),
        ),
        migrations.AddIndex(
            model_name='conductortask',
            index=models.Index(condition=models.Q(('lease_expires_at__isnull', False)), fields=['lease_expires_at'], name='conductor_task_leased'),
        ),
        migrations.AddIndex(
            model_name='conductortask',
            index=models.Index(condition=models.Q(('state', 'FAILED')), fields=['run', 'id'], name='conductor_task_failed'),
        ),
        migrations.AddIndex(
            model_name='conductortask',
            index=models.Index(condition=models.Q(('parent__isnull', False), ('state', 'FAILED')), fields=['parent', 'index'], name='conductor_child_failed'),
        ),
        migrations.AddConstraint(
            model_name='conductortask',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED'])), name='conductor_task_state'),
        ),
        migrations.AddConstraint(
            model_name='conductortask',
            constraint=models.UniqueConstraint(fields=('run', 'id'), name='conductor_task_of_run'),
        ),
        migrations.AddConstraint(
            model_name='conductortask',
            constraint=models.UniqueConstraint(condition=models.Q(('parent__isnull', False)), fields=('parent', 'index'), name='one_child_per_parent_and_index'),
        ),
        migrations.AddConstraint(
            model_name='conductortask',
            constraint=models.UniqueConstraint(condition=models.Q(('parent__isnull', True)), fields=('run', 'index'), name='one_root_per_run_and_index'),
        ),
        migrations.AddConstraint(
            model_name='conductortask',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('lease_expires_at__isnull', True), ('lease_token__isnull', True)), models.Q(('lease_expires_at__isnull', True), ('state__in', ['SUCCEEDED', 'FAILED'])), models.Q(('is_parent', False), ('lease_expires_at__isnull', False), ('lease_token__isnull', False), ('ready', False), ('state', 'RUNNING')), _connector='OR'), name='conductor_lease_of_running'),
        ),
        migrations.AddConstraint(
            model_name='conductortask',
            constraint=models.CheckConstraint(condition=models.Q(('ready', False), models.Q(('is_parent', False), ('state__in', ['PENDING', 'RUNNING', 'FAILED'])), _connector='OR'), name='conductor_ready_is_open'),
        ),
        migrations.RunSQL(FUNCTIONS, NO_FUNCTIONS),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
        migrations.RunPython(leave_out_like_indexes, migrations.RunPython.noop),
    ]
