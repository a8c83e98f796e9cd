SELECT count(*)
FROM governance_governancesetting
WHERE halt
AND (until IS NULL
OR until > now())
