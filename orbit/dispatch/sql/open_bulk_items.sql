-- The items of a run that have no result yet, with their dead letter. A letter outside of the run's
-- namespaces counts as unknown, so a halt there doesn't delay its item.
-- params: run uuid, scope text[]
governance_operationrunitem i
LEFT JOIN orbit_deadletterdispatch l
    ON l.id = i.object_id
    AND (%(scope)s::text[] IS NULL OR l.namespace = ANY(%(scope)s::text[]))
WHERE i.run_id = %(run)s
  AND i.outcome IS NULL
