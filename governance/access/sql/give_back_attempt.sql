-- Don't count an attempt any more. A count of nothing leaves no row.
-- params: name text, address text
WITH given_back AS (
    DELETE FROM governance_loginattempt
    WHERE name = %(name)s
      AND address = %(address)s
      AND failures <= 1
    RETURNING id
)
UPDATE governance_loginattempt
SET failures = failures - 1
WHERE name = %(name)s
  AND address = %(address)s
  AND failures > 1
