-- Forget the resumes of a cycle that has made progress, so that it doesn't run alone any more.
-- params: id uuid, token bigint
UPDATE orbit_cyclerun
SET resumes = 0
WHERE id = %(id)s
  AND fencing_token = %(token)s
  AND lease_owner IS NOT NULL   -- of a cycle that has ended, the count stays to be seen
  AND resumes > 0
RETURNING id
