-- A statement of this transaction may take long: it works on a whole day.
SELECT set_config('statement_timeout', '0', true)
