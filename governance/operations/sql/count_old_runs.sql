-- How many runs ended before the retention; counts up to `most`.
SELECT count(*) FROM ({{old_runs}}) AS old
