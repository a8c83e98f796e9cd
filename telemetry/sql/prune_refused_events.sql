-- Delete refused events that are older than a number of days.
-- params: days int
DELETE FROM telemetry_refusedevent WHERE refused_at < now() - make_interval(days => %(days)s)
