-- How many namespaces have a due cycle that must run alone.
WITH {{suspected_due}}
SELECT count(*) FROM suspected
