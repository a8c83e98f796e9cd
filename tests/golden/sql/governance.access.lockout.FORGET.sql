DELETE
FROM governance_loginattempt
WHERE name = %(name)s
AND address = %(address)s
