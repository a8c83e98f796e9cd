-- Whether a pass of fan-out would find a parent, or one that another pass holds now.
WITH RECURSIVE {{waiting_namespaces}}
SELECT EXISTS (
    SELECT FROM waiting w WHERE w.namespace IS NOT NULL AND {{gate_lets_start(w.namespace)}}
)
