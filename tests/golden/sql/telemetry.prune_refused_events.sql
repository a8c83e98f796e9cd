DELETE
FROM telemetry_refusedevent
WHERE refused_at < now() - make_interval(days => %(days)s)
