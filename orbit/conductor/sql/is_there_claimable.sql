-- Is there a task that a claim could take? One entry of an index each, however many there are.
SELECT EXISTS (SELECT 1 FROM orbit_conductortask WHERE ready)
    OR EXISTS (
        SELECT 1 FROM orbit_conductortask
        WHERE lease_expires_at IS NOT NULL   -- the condition of the index
          AND lease_expires_at <= now()
    )
