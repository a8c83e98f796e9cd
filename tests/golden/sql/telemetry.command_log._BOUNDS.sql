SELECT set_config('statement_timeout', '2s', true), set_config('lock_timeout', '1s', true), set_config('synchronous_commit', 'off', true)
