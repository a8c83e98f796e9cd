UPDATE orbit_crontick
SET outcome = %(outcome)s, detail = detail || %(detail)s, decided_at = now()
WHERE id = %(tick_id)s
AND outcome = 'due'
