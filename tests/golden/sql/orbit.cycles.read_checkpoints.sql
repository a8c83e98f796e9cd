SELECT k.stage, extract(epoch
FROM clock_timestamp() - k.created_at)::float8 - CASE WHEN k.stage = 'dispatch_enqueued' THEN coalesce((SELECT extract(epoch
FROM sum(upper(spell) - lower(spell)))
FROM (SELECT unnest(range_agg(tstzrange(greatest(h.since, k.created_at), greatest(h.since, k.created_at, least(h.ended_at, h.until, clock_timestamp()))))) AS spell
FROM governance_stop h
WHERE h.kind IN ('halt', 'pause')
AND (h.ended_at IS NULL
OR h.ended_at > k.created_at)
AND (h.namespace_id IS NULL
OR h.namespace_id = (SELECT n.id
FROM governance_namespace n
WHERE n.name = %(namespace)s))) AS spells), 0)::float8 ELSE 0 END
FROM orbit_cyclecheckpoint k
WHERE k.cycle_id = %(cycle)s
