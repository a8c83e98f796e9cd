UPDATE orbit_crontick
SET outcome = %s, detail = detail || %s, decided_at = now()
WHERE id = %s
AND outcome = 'due'
