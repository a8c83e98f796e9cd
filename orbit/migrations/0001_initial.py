"""The tables of orbit, and the functions that group dead letters by their error."""

import django.db.models.deletion
import django.db.models.functions.datetime
import orbit.states
from django.db import migrations, models


# Generated columns call these, and a dump restores them with an empty search_path: so their bodies
# are bound at creation and use built-in immutable functions only. hashtextextended is the hash of
# hash partitions, so it never changes; md5 is refused by a server in FIPS mode.
FUNCTIONS = r"""
CREATE FUNCTION orbit_error_pattern(error text) RETURNS varchar(200) LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN left(btrim(regexp_replace(
    regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(left(error, 1000),
        '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}', '<id>', 'gi'),
        '\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([.,]\d+)?( ?Z| ?[+-]\d\d:?\d\d)?', '<time>', 'gi'),
        '\m(\d{1,3}\.){3}\d{1,3}\M', '<address>', 'g'),
        '\m0x[0-9a-f]+\M|\m(?=[0-9a-f]*[0-9])[0-9a-f]{8,}\M', '<hex>', 'gi'),
        '(?<!HTTP [0-9]*)[0-9]+', '#', 'g'),
    '\s+', ' ', 'g')), 200);
CREATE FUNCTION orbit_error_group(endpoint_key text, reason text, status_code integer, error text) RETURNS varchar(16)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lpad(to_hex(hashtextextended(
    endpoint_key || chr(31) || reason || chr(31) || coalesce(status_code, 0)::text || chr(31) || orbit_error_pattern(error), 0)), 16, '0');
"""
DROP = "DROP FUNCTION orbit_error_group(text, text, integer, text); DROP FUNCTION orbit_error_pattern(text);"


class Migration(migrations.Migration):
    initial = True

    # A database of an earlier checkout has these: it counts as migrated.
    replaces = [
        ("orbit", "0001_schema"),
        ("orbit", "0003_queue"),
        ("orbit", "0004_endpoint_state"),
        ("orbit", "0005_dead_letters"),
        ("orbit", "0006_schedules"),
        ("orbit", "0007_revisions_ledger"),
        ("orbit", "0008_rerun"),
        ("orbit", "0009_list_indexes"),
    ]

    dependencies = [
        ("governance", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(FUNCTIONS, DROP),
        migrations.CreateModel(
            name="CycleCheckpoint",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("cycle_id", models.UUIDField()),
                ("stage", models.CharField(max_length=40)),
                ("fencing_token", models.BigIntegerField()),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "db_table": "orbit_cyclecheckpoint",
                "ordering": ["created_at"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ExecutionRecord",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("partition_key", models.UUIDField()),
                ("cycle_id", models.UUIDField(null=True)),
                ("stage", models.CharField(max_length=40)),
                ("event", models.CharField(max_length=60)),
                ("level", models.CharField(max_length=10)),
                ("namespace", models.CharField(max_length=100, null=True)),
                ("message", models.TextField()),
                ("data", models.JSONField()),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "db_table": "orbit_executionrecord",
                "ordering": ["-id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="EndpointSnapshot",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("fingerprint", models.CharField(max_length=64, unique=True)),
                ("endpoint_key", models.CharField(max_length=100)),
                ("host", models.CharField(max_length=255)),
                ("sealed", models.BinaryField()),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="Initiation",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("initiation_hash", models.CharField(max_length=64, unique=True)),
                ("namespace", models.CharField(max_length=100)),
                ("profile_id", models.CharField(max_length=100, null=True)),
                ("run_profile_id", models.CharField(max_length=100, null=True)),
                ("instruction_id", models.CharField(max_length=64, null=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="SkipNotice",
            fields=[
                ("namespace", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("written_at", models.DateTimeField()),
                ("suppressed", models.PositiveIntegerField(db_default=0, default=0)),
                ("carried", models.PositiveIntegerField(db_default=0, default=0)),
            ],
        ),
        migrations.CreateModel(
            name="AppliedFiles",
            fields=[
                ("id", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("sha256", models.CharField(max_length=64)),
                (
                    "applied_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "verbose_name_plural": "applied files",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("id", 1)), name="applied_files_is_one_row"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ClusterNode",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("host", models.CharField(max_length=255)),
                ("pid", models.PositiveIntegerField()),
                ("release", models.CharField(max_length=40)),
                ("workers", models.PositiveSmallIntegerField()),
                ("paused", models.BooleanField(db_default=False, default=False)),
                ("draining", models.BooleanField(db_default=False, default=False)),
                (
                    "started_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "seen_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "ordering": ["-seen_at"],
                "indexes": [models.Index(fields=["-seen_at"], name="cluster_seen")],
            },
        ),
        migrations.CreateModel(
            name="CronTick",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("schedule", models.CharField(max_length=200)),
                ("tick_key", models.CharField(max_length=40)),
                ("due_at", models.DateTimeField()),
                ("outcome", models.CharField(max_length=10)),
                ("detail", models.JSONField(default=dict)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("decided_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["-due_at"],
                "indexes": [
                    models.Index(fields=["-due_at"], name="tick_recent"),
                    models.Index(
                        condition=models.Q(("outcome", "due")),
                        fields=["created_at"],
                        name="tick_open",
                    ),
                    models.Index(fields=["schedule", "-id"], name="tick_schedule"),
                    models.Index(fields=["schedule", "-due_at"], name="tick_schedule_due"),
                    models.Index(
                        condition=models.Q(
                            ("outcome__in", ["skipped", "refused", "missed", "late"])
                        ),
                        fields=["outcome", "-id"],
                        name="tick_notable",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("schedule", "tick_key"), name="one_row_per_tick"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "outcome__in",
                                ["due", "started", "skipped", "refused", "missed", "late"],
                            )
                        ),
                        name="tick_outcome",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="CycleRun",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("status", models.CharField(max_length=16)),
                ("trigger", models.CharField(max_length=10)),
                ("triggered_by", models.CharField(db_default="", default="", max_length=200)),
                ("profile_id", models.CharField(max_length=100, null=True)),
                ("profile_revision", models.PositiveIntegerField(null=True)),
                ("run_profile_id", models.CharField(max_length=100, null=True)),
                ("run_profile_revision", models.PositiveIntegerField(null=True)),
                ("instruction_id", models.CharField(max_length=64, null=True)),
                ("context", models.JSONField()),
                ("initiation_hash", models.CharField(max_length=64)),
                ("input", models.BinaryField()),
                ("input_content_type", models.CharField(max_length=200)),
                ("input_sha256", models.CharField(max_length=64)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("next_due_at", models.DateTimeField(null=True)),
                ("lease_owner", models.CharField(max_length=100, null=True)),
                ("lease_expires_at", models.DateTimeField(null=True)),
                ("fencing_token", models.BigIntegerField(db_default=0, default=0)),
                ("resumes", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("progress", models.PositiveIntegerField(db_default=0, default=0)),
                ("requeues", models.PositiveIntegerField(db_default=0, default=0)),
                ("stages", models.JSONField(null=True)),
                ("reason", models.TextField(db_default="", default="")),
                ("takeover", models.JSONField(null=True)),
                (
                    "namespace",
                    models.ForeignKey(
                        db_column="namespace",
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="governance.namespace",
                        to_field="name",
                    ),
                ),
                (
                    "rerun_of",
                    models.ForeignKey(
                        db_column="rerun_of",
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reruns",
                        to="orbit.cyclerun",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="DispatchJob",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("endpoint_key", models.CharField(max_length=100)),
                ("delivery_id", models.UUIDField()),
                ("status", models.CharField(max_length=10)),
                ("attempts", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("spent", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("max_retries", models.PositiveSmallIntegerField()),
                ("next_attempt_at", models.DateTimeField(null=True)),
                ("last_error", models.TextField(db_default="", default="")),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "cycle",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="jobs",
                        to="orbit.cyclerun",
                    ),
                ),
                (
                    "requeue_of",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="requeues",
                        to="orbit.dispatchjob",
                    ),
                ),
                (
                    "snapshot",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="orbit.endpointsnapshot",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="DeliveryReceipt",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("attempt", models.PositiveSmallIntegerField()),
                ("status", models.CharField(max_length=10)),
                ("worker", models.CharField(max_length=100)),
                ("fencing_token", models.BigIntegerField()),
                (
                    "started_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("finished_at", models.DateTimeField(null=True)),
                ("status_code", models.PositiveSmallIntegerField(null=True)),
                ("error_class", models.CharField(max_length=40, null=True)),
                ("error", models.TextField(db_default="", default="")),
                ("latency_ms", models.FloatField(null=True)),
                ("response_excerpt", models.TextField(db_default="", default="")),
                ("body_sha256", models.CharField(max_length=64)),
                (
                    "job",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="receipts",
                        to="orbit.dispatchjob",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="DeadLetterDispatch",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("namespace", models.CharField(max_length=100)),
                ("endpoint_key", models.CharField(max_length=100)),
                ("status", models.CharField(max_length=16)),
                ("reason", models.CharField(max_length=100)),
                ("last_error", models.TextField(db_default="", default="")),
                ("status_code", models.PositiveSmallIntegerField(null=True)),
                ("attempts", models.PositiveSmallIntegerField()),
                ("first_failed_at", models.DateTimeField(null=True)),
                ("last_failed_at", models.DateTimeField(null=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("resolved_by", models.CharField(db_default="", default="", max_length=200)),
                ("resolved_at", models.DateTimeField(null=True)),
                ("resolved_reason", models.TextField(db_default="", default="")),
                (
                    "error_pattern",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Func("last_error", function="orbit_error_pattern"),
                        output_field=models.CharField(max_length=200),
                    ),
                ),
                (
                    "error_group",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Func(
                            "endpoint_key",
                            "reason",
                            "status_code",
                            "last_error",
                            function="orbit_error_group",
                        ),
                        output_field=models.CharField(max_length=16),
                    ),
                ),
                (
                    "cycle",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="dead_letters",
                        to="orbit.cyclerun",
                    ),
                ),
                (
                    "job",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="dead_letter",
                        to="orbit.dispatchjob",
                    ),
                ),
                (
                    "requeued_job",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="requeued_from",
                        to="orbit.dispatchjob",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "dead letter dispatches",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="EndpointState",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("endpoint_key", models.CharField(max_length=100)),
                ("host", models.CharField(max_length=255)),
                ("max_concurrency", models.PositiveIntegerField(null=True)),
                ("rate_per_second", models.FloatField(null=True)),
                ("failures", models.PositiveIntegerField(db_default=0, default=0)),
                ("failed_job", models.UUIDField(null=True)),
                ("several", models.BooleanField(db_default=False, default=False)),
                ("last_error", models.TextField(db_default="", default="")),
                ("opened_at", models.DateTimeField(null=True)),
                ("probe_at", models.DateTimeField(null=True)),
                ("probe_wait", models.FloatField(null=True)),
                ("hold_until", models.DateTimeField(null=True)),
                ("next_slot_at", models.DateTimeField(null=True)),
                ("next_turn_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["endpoint_key", "host"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("endpoint_key", "host"), name="one_state_per_receiver"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("opened_at__isnull", True),
                                ("probe_at__isnull", True),
                                ("probe_wait__isnull", True),
                            ),
                            models.Q(
                                ("opened_at__isnull", False),
                                ("probe_at__isnull", False),
                                ("probe_wait__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="open_circuit_is_probed",
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="endpointsnapshot",
            name="state",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="orbit.endpointstate",
            ),
        ),
        migrations.CreateModel(
            name="NormalizationBatch",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("processor", models.CharField(max_length=100)),
                ("item_count", models.PositiveSmallIntegerField()),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "cycle",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="batch",
                        to="orbit.cyclerun",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "normalization batches",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="NormalizationItem",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("payload", models.BinaryField()),
                ("content_type", models.CharField(max_length=200)),
                ("sha256", models.CharField(max_length=64)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "batch",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="items",
                        to="orbit.normalizationbatch",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.AddField(
            model_name="dispatchjob",
            name="normalization_item",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="jobs",
                to="orbit.normalizationitem",
            ),
        ),
        migrations.CreateModel(
            name="Profile",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("profile_id", models.CharField(max_length=100, unique=True)),
                ("label", models.CharField(max_length=200)),
                ("state", models.CharField(max_length=10)),
                ("document", models.JSONField()),
                ("revision", models.PositiveIntegerField()),
                ("hidden", models.BooleanField(db_default=False, default=False)),
                (
                    "updated_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "ordering": ["profile_id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["enabled", "disabled"])),
                        name="profile_state",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ProfileRevision",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("document", models.JSONField()),
                ("author", models.CharField(max_length=200)),
                ("source", models.CharField(max_length=10)),
                ("reason", models.TextField(blank=True, default="")),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "profile",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="revisions",
                        to="orbit.profile",
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="RunProfile",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("run_profile_id", models.CharField(max_length=100, unique=True)),
                ("state", models.CharField(max_length=10)),
                ("document", models.JSONField()),
                ("revision", models.PositiveIntegerField()),
                ("hidden", models.BooleanField(db_default=False, default=False)),
                (
                    "updated_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "namespace",
                    models.ForeignKey(
                        db_column="namespace",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="governance.namespace",
                        to_field="name",
                    ),
                ),
                (
                    "profile",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="run_profiles",
                        to="orbit.profile",
                    ),
                ),
            ],
            options={
                "ordering": ["run_profile_id"],
            },
        ),
        migrations.CreateModel(
            name="RunProfileRevision",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("document", models.JSONField()),
                ("author", models.CharField(max_length=200)),
                ("source", models.CharField(max_length=10)),
                ("reason", models.TextField(blank=True, default="")),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "run_profile",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="revisions",
                        to="orbit.runprofile",
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at"],
            },
        ),
        migrations.CreateModel(
            name="Transformation",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("tier", models.PositiveSmallIntegerField()),
                ("transformer", models.CharField(max_length=100)),
                ("status", models.CharField(max_length=10)),
                ("attempts", models.PositiveSmallIntegerField()),
                ("next_attempt_at", models.DateTimeField(null=True)),
                ("output", models.BinaryField(null=True)),
                (
                    "output_content_type",
                    models.CharField(db_default="", default="", max_length=200),
                ),
                ("output_sha256", models.CharField(db_default="", default="", max_length=64)),
                ("error", models.TextField(db_default="", default="")),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "cycle",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="transformations",
                        to="orbit.cyclerun",
                    ),
                ),
                (
                    "initiation",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="transformations",
                        to="orbit.initiation",
                    ),
                ),
                (
                    "taken_from",
                    models.ForeignKey(
                        db_column="taken_from",
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="taken",
                        to="orbit.transformation",
                    ),
                ),
            ],
            options={
                "ordering": ["cycle", "tier"],
            },
        ),
        migrations.AddField(
            model_name="normalizationitem",
            name="transformation",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="item",
                to="orbit.transformation",
            ),
        ),
        migrations.CreateModel(
            name="ValueLedgerEntry",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("cycle_id", models.UUIDField()),
                ("namespace", models.CharField(max_length=100)),
                ("profile_id", models.CharField(max_length=100, null=True)),
                ("run_profile_id", models.CharField(max_length=100, null=True)),
                ("kind", models.CharField(max_length=10)),
                ("tag", models.CharField(max_length=100)),
                ("quantity", models.DecimalField(decimal_places=6, max_digits=20)),
                ("unit", models.CharField(max_length=40)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "verbose_name_plural": "value ledger entries",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["tag", "created_at"], name="ledger_tag"),
                    models.Index(fields=["created_at"], name="ledger_time"),
                    models.Index(fields=["namespace", "-id"], name="ledger_namespace"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("cycle_id", "kind", "tag", "unit"),
                        name="one_ledger_entry_per_cycle_and_tag",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["usage", "value"])), name="ledger_kind"
                    ),
                ],
            },
        ),
        migrations.AddIndex(
            model_name="cyclerun",
            index=models.Index(
                condition=models.Q(("next_due_at__isnull", False)),
                fields=["next_due_at"],
                name="cycle_due",
            ),
        ),
        migrations.AddIndex(
            model_name="cyclerun",
            index=models.Index(fields=["namespace", "-id"], name="cycle_namespace"),
        ),
        migrations.AddIndex(
            model_name="cyclerun",
            index=models.Index(fields=["run_profile_id", "-id"], name="cycle_run_profile"),
        ),
        migrations.AddIndex(
            model_name="cyclerun",
            index=models.Index(
                condition=models.Q(("status", "queued")),
                fields=["namespace", "id"],
                name="cycle_queued",
            ),
        ),
        migrations.AddIndex(
            model_name="cyclerun",
            index=models.Index(
                condition=models.Q(("rerun_of__isnull", False)),
                fields=["rerun_of", "id"],
                name="cycle_reruns",
            ),
        ),
        migrations.AddIndex(
            model_name="cyclerun",
            index=models.Index(
                condition=models.Q(("resumes__gt", 0)), fields=["resumes"], name="cycle_resumed"
            ),
        ),
        migrations.AddIndex(
            model_name="cyclerun",
            index=models.Index(
                condition=models.Q(
                    ("status__in", ["queued", "partial_success", "failed", "cancelled"])
                ),
                fields=["status", "-id"],
                name="cycle_notable",
            ),
        ),
        migrations.AddConstraint(
            model_name="cyclerun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "status__in",
                        [
                            "queued",
                            "pending",
                            "running",
                            "success",
                            "partial_success",
                            "failed",
                            "cancelled",
                        ],
                    )
                ),
                name="cycle_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="cyclerun",
            constraint=models.CheckConstraint(
                condition=models.Q(("trigger__in", ["cron", "rest", "admin", "command"])),
                name="cycle_trigger",
            ),
        ),
        migrations.AddConstraint(
            model_name="cyclerun",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status__in", ["pending", "running"])),
                fields=("namespace",),
                name="one_active_cycle_per_namespace",
            ),
        ),
        migrations.AddConstraint(
            model_name="cyclerun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("finished_at__isnull", True),
                        ("status__in", ["queued", "pending", "running"]),
                    ),
                    models.Q(
                        ("finished_at__isnull", False),
                        (
                            "status__in",
                            [
                                orbit.states.Cycle["CANCELLED"],
                                orbit.states.Cycle["FAILED"],
                                orbit.states.Cycle["PARTIAL_SUCCESS"],
                                orbit.states.Cycle["SUCCESS"],
                            ],
                        ),
                    ),
                    _connector="OR",
                ),
                name="cycle_finish_matches_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="cyclerun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("lease_expires_at__isnull", True), ("lease_owner__isnull", True)),
                    models.Q(
                        ("lease_expires_at__isnull", False),
                        ("lease_owner__isnull", False),
                        ("next_due_at__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="cycle_lease_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="cyclerun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("rerun_of__isnull", True), ("takeover__isnull", False), _connector="OR"
                ),
                name="rerun_has_its_takeover",
            ),
        ),
        migrations.AddConstraint(
            model_name="cyclerun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("next_due_at__isnull", False),
                    models.Q(("status__in", ["pending", "running"]), _negated=True),
                    _connector="OR",
                ),
                name="active_cycle_is_due",
            ),
        ),
        migrations.AddIndex(
            model_name="deliveryreceipt",
            index=models.Index(
                condition=models.Q(("status", "sending")),
                fields=["started_at"],
                name="receipt_sending",
            ),
        ),
        migrations.AddIndex(
            model_name="deliveryreceipt",
            index=models.Index(
                condition=models.Q(("status__in", ["failed", "unknown", "unsent"])),
                fields=["status", "-id"],
                name="receipt_notable",
            ),
        ),
        migrations.AddConstraint(
            model_name="deliveryreceipt",
            constraint=models.UniqueConstraint(
                fields=("job", "attempt"), name="one_receipt_per_attempt"
            ),
        ),
        migrations.AddConstraint(
            model_name="deliveryreceipt",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["sending", "delivered", "failed", "unknown", "unsent"])
                ),
                name="receipt_status",
            ),
        ),
        migrations.AddIndex(
            model_name="deadletterdispatch",
            index=models.Index(fields=["namespace", "-id"], name="dead_letter_namespace"),
        ),
        migrations.AddIndex(
            model_name="deadletterdispatch",
            index=models.Index(
                condition=models.Q(("status", "open")),
                fields=["endpoint_key", "-id"],
                name="dead_letter_open",
            ),
        ),
        migrations.AddIndex(
            model_name="deadletterdispatch",
            index=models.Index(
                condition=models.Q(("status__in", ["requeued", "dismissed", "delivered_late"])),
                fields=["status", "-id"],
                name="dead_letter_resolved",
            ),
        ),
        migrations.AddIndex(
            model_name="deadletterdispatch",
            index=models.Index(fields=["error_group", "id"], name="dead_letter_group"),
        ),
        migrations.AddIndex(
            model_name="deadletterdispatch",
            index=models.Index(
                condition=models.Q(("status", "open")), fields=["id"], name="dead_letter_open_id"
            ),
        ),
        migrations.AddConstraint(
            model_name="deadletterdispatch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["open", "requeued", "dismissed", "delivered_late"])
                ),
                name="dead_letter_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="deadletterdispatch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("requeued_job__isnull", False),
                    models.Q(("status", "requeued"), _negated=True),
                    _connector="OR",
                ),
                name="requeued_letter_has_its_job",
            ),
        ),
        migrations.AddIndex(
            model_name="dispatchjob",
            index=models.Index(
                condition=models.Q(("status__in", ["pending", "sending"])),
                fields=["cycle", "next_attempt_at"],
                name="job_open",
            ),
        ),
        migrations.AddIndex(
            model_name="dispatchjob",
            index=models.Index(fields=["delivery_id"], name="job_delivery_id"),
        ),
        migrations.AddIndex(
            model_name="dispatchjob",
            index=models.Index(
                condition=models.Q(("status__in", ["dead", "cancelled"])),
                fields=["status", "-id"],
                name="job_notable",
            ),
        ),
        migrations.AddConstraint(
            model_name="dispatchjob",
            constraint=models.UniqueConstraint(
                fields=("cycle", "normalization_item", "endpoint_key", "requeue_of"),
                name="one_job_per_item_and_endpoint",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="dispatchjob",
            constraint=models.UniqueConstraint(
                condition=models.Q(("requeue_of__isnull", False)),
                fields=("requeue_of",),
                name="one_requeue_per_job",
            ),
        ),
        migrations.AddConstraint(
            model_name="dispatchjob",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["pending", "sending", "delivered", "dead", "cancelled"])
                ),
                name="job_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="dispatchjob",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("next_attempt_at__isnull", False),
                    models.Q(("status", "pending"), _negated=True),
                    _connector="OR",
                ),
                name="pending_job_is_due",
            ),
        ),
        migrations.AddConstraint(
            model_name="profilerevision",
            constraint=models.UniqueConstraint(
                fields=("profile", "number"), name="one_profile_revision_per_number"
            ),
        ),
        migrations.AddConstraint(
            model_name="profilerevision",
            constraint=models.CheckConstraint(
                condition=models.Q(("source__in", ("files", "reload", "admin", "api", "proposal"))),
                name="profile_revision_source",
            ),
        ),
        migrations.AddConstraint(
            model_name="runprofile",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["enabled", "disabled"])), name="run_profile_state"
            ),
        ),
        migrations.AddConstraint(
            model_name="runprofilerevision",
            constraint=models.UniqueConstraint(
                fields=("run_profile", "number"), name="one_run_profile_revision_per_number"
            ),
        ),
        migrations.AddConstraint(
            model_name="runprofilerevision",
            constraint=models.CheckConstraint(
                condition=models.Q(("source__in", ("files", "reload", "admin", "api", "proposal"))),
                name="run_profile_revision_source",
            ),
        ),
        migrations.AddIndex(
            model_name="transformation",
            index=models.Index(
                condition=models.Q(("taken_from__isnull", False)),
                fields=["taken_from"],
                name="transformation_taken",
            ),
        ),
        migrations.AddIndex(
            model_name="transformation",
            index=models.Index(
                condition=models.Q(("status__in", ["pending", "failed"])),
                fields=["status", "-id"],
                name="transformation_notable",
            ),
        ),
        migrations.AddConstraint(
            model_name="transformation",
            constraint=models.UniqueConstraint(
                fields=("cycle", "tier"), name="one_transformation_per_tier"
            ),
        ),
        migrations.AddConstraint(
            model_name="transformation",
            constraint=models.CheckConstraint(
                condition=models.Q(("tier__in", [1, 2, 3])), name="transformation_tier"
            ),
        ),
        migrations.AddConstraint(
            model_name="transformation",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["pending", "success", "failed"])),
                name="transformation_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="transformation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("output__isnull", False),
                    ("taken_from__isnull", False),
                    models.Q(("status", "success"), _negated=True),
                    _connector="OR",
                ),
                name="transformation_success_has_output",
            ),
        ),
        migrations.AddIndex(
            model_name="normalizationitem",
            index=models.Index(fields=["sha256"], name="item_sha256"),
        ),
    ]
