-- What the conductor's thread asks: does the server accept no writes, do parents wait for
-- their children, has aggregate anything to do? A few probes of indexes.
WITH RECURSIVE {{waiting_namespaces}}
SELECT ({{is_read_only}}),
    EXISTS (SELECT FROM waiting w WHERE w.namespace IS NOT NULL AND {{gate_lets_start(w.namespace)}}),
    {{aggregate_waits}}
