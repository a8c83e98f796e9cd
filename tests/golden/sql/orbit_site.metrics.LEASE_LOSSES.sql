SELECT coalesce(sum(resumes), 0)
FROM orbit_cyclerun
WHERE resumes > 0
