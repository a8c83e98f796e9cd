UPDATE orbit_cyclerun
SET resumes = 0
WHERE id = %(id)s
AND fencing_token = %(token)s
AND lease_owner IS NOT NULL
AND resumes > 0
RETURNING id
