-- Lock a cycle whose token holds; return whether its gate is open. No row: the token is stale.
WITH {{locked}}
SELECT {{gate_is_open(locked.namespace)}} FROM locked
