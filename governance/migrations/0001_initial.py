"""The tables of governance."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import governance.states
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    # A database of an earlier checkout has these: it counts as migrated.
    replaces = [
        ("governance", "0001_schema"),
        ("governance", "0003_operations"),
        ("governance", "0004_halts"),
        ("governance", "0005_list_indexes"),
        ("governance", "0006_access"),
        ("governance", "0007_rate_limit"),
    ]

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="RequestCount",
            fields=[
                ("caller", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("minute", models.DateTimeField()),
                ("requests", models.PositiveIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="AuditHead",
            fields=[
                ("id", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("sequence", models.BigIntegerField()),
                ("hash", models.CharField(max_length=64)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("id", 1)), name="audit_head_is_one_row"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditTrailEntry",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("actor", models.CharField(max_length=200)),
                ("action", models.CharField(max_length=100)),
                ("object_type", models.CharField(db_default="", default="", max_length=100)),
                ("object_id", models.CharField(db_default="", default="", max_length=200)),
                ("namespace", models.CharField(max_length=100, null=True)),
                ("before", models.JSONField(null=True)),
                ("after", models.JSONField(null=True)),
                ("reason", models.TextField(db_default="", default="")),
                ("request_id", models.CharField(db_default="", default="", max_length=200)),
                ("previous_hash", models.CharField(max_length=64)),
                ("hash", models.CharField(max_length=64, unique=True)),
            ],
            options={
                "verbose_name_plural": "audit trail entries",
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["object_type", "object_id", "-id"], name="audit_object"),
                    models.Index(fields=["namespace", "-id"], name="audit_namespace"),
                    models.Index(fields=["at"], name="audit_at"),
                    models.Index(fields=["actor", "-id"], name="audit_actor"),
                    models.Index(fields=["action", "-id"], name="audit_action"),
                    models.Index(
                        condition=models.Q(("request_id", ""), _negated=True),
                        fields=["request_id", "-id"],
                        name="audit_request",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="LoginAttempt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("address", models.CharField(max_length=50)),
                ("failures", models.PositiveSmallIntegerField()),
                ("told", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("since", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["-ends_at"],
                "indexes": [models.Index(fields=["ends_at"], name="login_attempt_end")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("name", "address"), name="one_count_per_name_and_address"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Namespace",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100, unique=True)),
                ("external_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("name__regex", "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")),
                        name="namespace_name_pattern",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="OperationRun",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                (
                    "scope",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=100), null=True, size=None
                    ),
                ),
                ("type", models.CharField(max_length=60)),
                ("identity_hash", models.CharField(max_length=64)),
                ("status", models.CharField(max_length=10)),
                ("outcome", models.CharField(max_length=20, null=True)),
                ("summary_counts", models.JSONField(db_default={}, default=dict)),
                ("progress", models.JSONField(db_default={}, default=dict)),
                ("context", models.JSONField(db_default={}, default=dict)),
                ("initiator", models.CharField(max_length=200)),
                ("reason", models.TextField(db_default="", default="")),
                ("faults", models.PositiveSmallIntegerField(db_default=0, default=0)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("next_due_at", models.DateTimeField(null=True)),
                ("cancel_requested_at", models.DateTimeField(null=True)),
                (
                    "cancel_requested_by",
                    models.CharField(db_default="", default="", max_length=200),
                ),
                (
                    "namespace",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="governance.namespace",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="OperationRunItem",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("object_id", models.UUIDField()),
                ("outcome", models.CharField(max_length=10, null=True)),
                ("detail", models.CharField(db_default="", default="", max_length=300)),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="items",
                        to="governance.operationrun",
                    ),
                ),
            ],
            options={
                "ordering": ["run", "object_id"],
            },
        ),
        migrations.CreateModel(
            name="Stop",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=8)),
                ("reason", models.TextField(db_default="", default="")),
                ("started_by", models.CharField(max_length=150)),
                (
                    "since",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("until", models.DateTimeField(null=True)),
                ("quiet_at", models.DateTimeField(null=True)),
                ("certificate", models.JSONField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("ended_by", models.CharField(db_default="", default="", max_length=150)),
                ("ended_reason", models.TextField(db_default="", default="")),
                (
                    "namespace",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="stops",
                        to="governance.namespace",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="ApiToken",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(blank=True, default="", max_length=100)),
                ("prefix", models.CharField(max_length=16)),
                ("token_hash", models.CharField(max_length=64, unique=True)),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=20), size=None
                    ),
                ),
                (
                    "namespaces",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=100),
                        blank=True,
                        null=True,
                        size=None,
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="api_tokens",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("scopes__contained_by", ["read", "operate", "review", "configure"])
                        ),
                        name="token_scopes_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("scopes", []), _negated=True), name="token_has_a_scope"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="IdempotentRequest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("route", models.CharField(max_length=200)),
                ("key", models.CharField(max_length=255)),
                ("body_sha256", models.CharField(max_length=64)),
                ("status", models.PositiveSmallIntegerField()),
                ("answer", models.JSONField()),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["created_at"], name="idempotent_request_age")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("owner", "route", "key"), name="one_answer_per_idempotency_key"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="GovernanceSetting",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("halt", models.BooleanField(db_default=False, default=False)),
                (
                    "mode",
                    models.CharField(
                        db_default=governance.states.Mode["RUNNING"],
                        default=governance.states.Mode["RUNNING"],
                        max_length=16,
                    ),
                ),
                ("reason", models.TextField(blank=True, db_default="", default="")),
                (
                    "changed_by",
                    models.CharField(blank=True, db_default="", default="", max_length=150),
                ),
                (
                    "since",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("until", models.DateTimeField(blank=True, null=True)),
                (
                    "namespace",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="setting",
                        to="governance.namespace",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("mode__in", ["running", "draining", "halting", "quiet"])
                        ),
                        name="setting_mode",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("halt", True),
                                (
                                    "mode__in",
                                    [
                                        governance.states.Mode["HALTING"],
                                        governance.states.Mode["QUIET"],
                                    ],
                                ),
                            ),
                            models.Q(
                                ("halt", False),
                                (
                                    "mode__in",
                                    [
                                        governance.states.Mode["RUNNING"],
                                        governance.states.Mode["DRAINING"],
                                    ],
                                ),
                            ),
                            _connector="OR",
                        ),
                        name="setting_halt_matches_mode",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="NamespaceGrant",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "namespace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="grants",
                        to="governance.namespace",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="namespace_grants",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "namespace"), name="one_grant_per_user_and_namespace"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="operationrun",
            index=models.Index(
                condition=models.Q(("status__in", ["queued", "running"])),
                fields=["next_due_at"],
                name="operation_due",
            ),
        ),
        migrations.AddIndex(
            model_name="operationrun",
            index=models.Index(fields=["type", "-id"], name="operation_type"),
        ),
        migrations.AddIndex(
            model_name="operationrun",
            index=models.Index(
                condition=models.Q(("scope__isnull", False)),
                fields=["-id"],
                name="operation_scoped",
            ),
        ),
        migrations.AddIndex(
            model_name="operationrun",
            index=models.Index(
                condition=models.Q(
                    ("outcome__in", ["partially_succeeded", "failed", "skipped", "cancelled"])
                ),
                fields=["outcome", "-id"],
                name="operation_notable",
            ),
        ),
        migrations.AddConstraint(
            model_name="operationrun",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["queued", "running", "completed"])),
                name="operation_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="operationrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("outcome__isnull", True),
                    (
                        "outcome__in",
                        ["succeeded", "partially_succeeded", "failed", "skipped", "cancelled"],
                    ),
                    _connector="OR",
                ),
                name="operation_outcome",
            ),
        ),
        migrations.AddConstraint(
            model_name="operationrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("finished_at__isnull", False),
                        ("next_due_at__isnull", True),
                        ("outcome__isnull", False),
                        ("status", "completed"),
                    ),
                    models.Q(
                        models.Q(("status", "completed"), _negated=True),
                        ("finished_at__isnull", True),
                        ("outcome__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="operation_outcome_at_its_end",
            ),
        ),
        migrations.AddConstraint(
            model_name="operationrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("scope__isnull", True), models.Q(("scope", []), _negated=True), _connector="OR"
                ),
                name="operation_scope_names_some",
            ),
        ),
        migrations.AddConstraint(
            model_name="operationrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("namespace__isnull", True), ("scope__isnull", False), _connector="OR"
                ),
                name="operation_of_a_namespace_is_in_it",
            ),
        ),
        migrations.AddConstraint(
            model_name="operationrun",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("status__in", ["queued", "running"]), ("namespace__isnull", False)
                ),
                fields=("namespace", "type", "identity_hash"),
                name="one_active_run_in_a_namespace",
            ),
        ),
        migrations.AddConstraint(
            model_name="operationrun",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("status__in", ["queued", "running"]), ("namespace__isnull", True)
                ),
                fields=("type", "identity_hash"),
                name="one_active_run_in_the_workspace",
            ),
        ),
        migrations.AddIndex(
            model_name="operationrunitem",
            index=models.Index(
                condition=models.Q(("outcome__isnull", True)),
                fields=["run", "object_id"],
                name="operation_item_open",
            ),
        ),
        migrations.AddIndex(
            model_name="operationrunitem",
            index=models.Index(
                condition=models.Q(("outcome__in", ["failed", "skipped"])),
                fields=["outcome", "-run", "-object_id"],
                name="operation_item_notable",
            ),
        ),
        migrations.AddConstraint(
            model_name="operationrunitem",
            constraint=models.UniqueConstraint(
                fields=("run", "object_id"), name="one_item_per_run_and_object"
            ),
        ),
        migrations.AddConstraint(
            model_name="operationrunitem",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("outcome__isnull", True),
                    ("outcome__in", ["succeeded", "failed", "skipped"]),
                    _connector="OR",
                ),
                name="operation_item_outcome",
            ),
        ),
        migrations.AddIndex(
            model_name="stop",
            index=models.Index(fields=["namespace", "ended_at"], name="stop_history"),
        ),
        migrations.AddIndex(
            model_name="stop",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", True), ("until__isnull", False)),
                fields=["until"],
                name="stop_until",
            ),
        ),
        migrations.AddConstraint(
            model_name="stop",
            constraint=models.UniqueConstraint(
                condition=models.Q(("ended_at__isnull", True)),
                fields=("namespace", "kind"),
                name="one_open_stop",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="stop",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["halt", "drain", "pause"])), name="stop_kind"
            ),
        ),
        migrations.AddConstraint(
            model_name="stop",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("kind", governance.states.Stopped["PAUSE"]), ("namespace__isnull", True)
                    ),
                    models.Q(
                        models.Q(("kind", governance.states.Stopped["PAUSE"]), _negated=True),
                        ("namespace__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="stop_of_a_namespace_or_of_all",
            ),
        ),
        migrations.AddConstraint(
            model_name="stop",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("certificate__isnull", True), ("quiet_at__isnull", True)),
                    models.Q(("certificate__isnull", False), ("quiet_at__isnull", False)),
                    _connector="OR",
                ),
                name="stop_quiet_with_certificate",
            ),
        ),
    ]
