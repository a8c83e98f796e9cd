INSERT INTO orbit_executionrecord (id, partition_key, cycle_id, stage, event, level, namespace, message, data)
VALUES
