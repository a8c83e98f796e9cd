"""An output that is the cycle's input is kept once."""

from django.db import migrations, models

_TABLE = "orbit_transformation"
_OLD, _NEW = "transformation_success_has_output", "transformation_success_has_its_output"
_HAS = "output IS NOT NULL OR taken_from IS NOT NULL{} OR NOT (status = 'success')"


class Migration(migrations.Migration):
    """Not in one transaction: the rows are checked beside running processes."""

    atomic = False
    dependencies = [("orbit", "0019_lean_initiations")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                # A constant default writes no row.
                migrations.RunSQL(
                    f"ALTER TABLE {_TABLE} ADD COLUMN IF NOT EXISTS output_is_input"
                    " boolean NOT NULL DEFAULT false",
                    f"ALTER TABLE {_TABLE} DROP COLUMN output_is_input",
                ),
                migrations.RunSQL(
                    f"ALTER TABLE {_TABLE} DROP CONSTRAINT IF EXISTS {_OLD},"
                    f" DROP CONSTRAINT IF EXISTS {_NEW},"
                    f" ADD CONSTRAINT {_NEW} CHECK ({_HAS.format(' OR output_is_input')}) NOT VALID",
                    f"UPDATE {_TABLE} t SET output = c.input FROM orbit_cyclerun c"
                    " WHERE c.id = t.cycle_id AND t.output_is_input;"
                    f"ALTER TABLE {_TABLE} DROP CONSTRAINT IF EXISTS {_NEW},"
                    f" ADD CONSTRAINT {_OLD} CHECK ({_HAS.format('')})",
                ),
                # Reads the table, and stops no writer.
                migrations.RunSQL(
                    f"ALTER TABLE {_TABLE} VALIDATE CONSTRAINT {_NEW}", migrations.RunSQL.noop
                ),
            ],
            state_operations=[
                migrations.AddField(
                    model_name="transformation",
                    name="output_is_input",
                    field=models.BooleanField(default=False, db_default=False),
                ),
                migrations.RemoveConstraint("transformation", _OLD),
                migrations.AddConstraint(
                    "transformation",
                    models.CheckConstraint(
                        condition=models.Q(output__isnull=False)
                        | models.Q(taken_from__isnull=False)
                        | models.Q(output_is_input=True)
                        | ~models.Q(status="success"),
                        name=_NEW,
                    ),
                ),
            ],
        ),
    ]
