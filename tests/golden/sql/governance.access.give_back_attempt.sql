WITH given_back AS (DELETE
FROM governance_loginattempt
WHERE name = %(name)s
AND address = %(address)s
AND failures <= 1
RETURNING id)
UPDATE governance_loginattempt
SET failures = failures - 1
WHERE name = %(name)s
AND address = %(address)s
AND failures > 1
