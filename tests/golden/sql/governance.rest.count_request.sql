INSERT INTO governance_requestcount AS kept (caller, minute, requests)
VALUES (%(caller)s, date_trunc('minute', clock_timestamp()), 1)
ON CONFLICT (caller) DO
UPDATE
SET minute = greatest(kept.minute, excluded.minute), requests = CASE WHEN kept.minute >= excluded.minute THEN kept.requests + 1 ELSE 1 END
RETURNING requests, ceil(extract(epoch
FROM minute + interval '1 minute' - clock_timestamp()))::int
