-- Find no table of Orbit any more, in this transaction.
SELECT set_config('search_path', 'pg_catalog', true)
