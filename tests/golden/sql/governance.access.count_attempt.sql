INSERT INTO governance_loginattempt AS kept (name, address, failures, told, since, ends_at)
VALUES (%(name)s, %(address)s, 1, 0, now(), now() + %(minutes)s * interval '1 minute')
ON CONFLICT (name, address) DO
UPDATE
SET failures = CASE WHEN kept.ends_at <= now() THEN 1 ELSE least(kept.failures + 1, %(max_failures)s + 1) END, told = CASE WHEN kept.ends_at <= now() THEN 0 ELSE kept.told END, since = CASE WHEN kept.ends_at <= now() THEN now() ELSE kept.since END, ends_at = CASE WHEN kept.ends_at <= now()
OR kept.failures < %(max_failures)s
AND (%(slides)s
OR kept.failures + 1 = %(max_failures)s) THEN now() + %(minutes)s * interval '1 minute' ELSE kept.ends_at END
RETURNING failures, ends_at
