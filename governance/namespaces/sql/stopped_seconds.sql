-- Seconds since `start` in which a namespace was halted or paused. They count against no deadline.
-- args: namespace, start
coalesce((
    SELECT extract(epoch FROM sum(upper(spell) - lower(spell)))
    FROM (
        SELECT unnest(range_agg(tstzrange(   -- overlapping stops count once
            greatest(h.since, {{start}}),
            greatest(h.since, {{start}}, least(h.ended_at, h.until, clock_timestamp()))
        ))) AS spell
        FROM governance_stop h
        WHERE h.kind IN ('halt', 'pause')
          AND (h.ended_at IS NULL OR h.ended_at > {{start}})
          AND (
              h.namespace_id IS NULL
              OR h.namespace_id = (
                  SELECT n.id FROM governance_namespace n WHERE n.name = {{namespace}}
              )
          )
    ) AS spells
), 0)::float8
