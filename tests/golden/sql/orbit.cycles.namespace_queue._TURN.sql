UPDATE orbit_cyclerun c
SET status = 'pending', next_due_at = clock_timestamp()
