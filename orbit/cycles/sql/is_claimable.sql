-- A condition: cycle `c` is due and free. Asked again under its lock.
c.next_due_at <= now()
AND (c.lease_expires_at IS NULL OR c.lease_expires_at <= now())   -- free, or abandoned
AND {{gate_is_open(c.namespace)}}
