"""Rules that the database keeps (append-only audit trail), and the first rows: head, default namespace, groups."""

from django.db import migrations

from governance.kernel.append_only import append_only, refusing_function

SEED = """
INSERT INTO governance_audithead (id, sequence, hash) VALUES (1, 0, repeat('0', 64));
WITH made AS (INSERT INTO governance_namespace (name, external_id) VALUES ('default', gen_random_uuid()) RETURNING id)
INSERT INTO governance_governancesetting (namespace_id) SELECT id FROM made;
INSERT INTO auth_group (name) VALUES ('Viewer'), ('Operator'), ('Reviewer'), ('Configurator'), ('Administrator') ON CONFLICT (name) DO NOTHING;
"""
UNSEED = """
DELETE FROM auth_group WHERE name IN ('Viewer', 'Operator', 'Reviewer', 'Configurator', 'Administrator');
DELETE FROM governance_governancesetting;
DELETE FROM governance_namespace;
DELETE FROM governance_audithead;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.RunSQL(SEED, UNSEED),
        refusing_function("governance_refuse_change"),
        append_only("governance_audittrailentry", "governance_refuse_change"),
        # Written by every request: no WAL, and room for updates in place.
        migrations.RunSQL(
            "ALTER TABLE governance_requestcount SET UNLOGGED;"
            "ALTER TABLE governance_requestcount SET (fillfactor = 50)",
            "ALTER TABLE governance_requestcount RESET (fillfactor);"
            "ALTER TABLE governance_requestcount SET LOGGED",
        ),
    ]
