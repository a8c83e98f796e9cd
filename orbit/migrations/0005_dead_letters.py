"""Groups of dead letters by what their errors have in common; the letters that are there get theirs."""

from django.db import migrations, models

# Columns are made by them, and dumps restore them, where no schema is searched: bodies that are bound when they are made, and built-in
# functions that are immutable. The hash is the one that partitions by hash use, so it stays the same; a server in FIPS mode refuses md5.
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
    dependencies = [("orbit", "0004_endpoint_state"), ("governance", "0003_operations")]

    operations = [
        migrations.RunSQL(FUNCTIONS, DROP),
        migrations.AddField(
            model_name="deadletterdispatch",
            name="error_pattern",
            field=models.GeneratedField(
                expression=models.Func("last_error", function="orbit_error_pattern"), output_field=models.CharField(max_length=200), db_persist=True
            ),
        ),
        migrations.AddField(
            model_name="deadletterdispatch",
            name="error_group",
            field=models.GeneratedField(
                expression=models.Func("endpoint_key", "reason", "status_code", "last_error", function="orbit_error_group"),
                output_field=models.CharField(max_length=16),
                db_persist=True,
            ),
        ),
        migrations.AddIndex(
            model_name="deadletterdispatch",
            index=models.Index(fields=["error_group", "id"], condition=models.Q(status="open"), name="dead_letter_open_group"),
        ),
        migrations.AddIndex(
            model_name="deadletterdispatch",
            index=models.Index(fields=["id"], condition=models.Q(status="open"), name="dead_letter_open_id"),
        ),
    ]
