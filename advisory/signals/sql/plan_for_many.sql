-- A worker's connections look rows up by their indexes, and this reads most of the table. It sorts
-- and groups in memory what would else go to disk. For this transaction.
SELECT
    set_config('enable_seqscan', 'on', true),
    set_config('enable_bitmapscan', 'on', true),
    set_config('enable_hashjoin', 'on', true),
    set_config('enable_nestloop', 'off', true),   -- the planner knows no size of what is grouped
    set_config('work_mem', '{{work_memory}}', true),
    set_config('plan_cache_mode', 'auto', true)
