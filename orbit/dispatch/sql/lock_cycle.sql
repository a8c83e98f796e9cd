-- Lock a cycle whose token holds; tell whether its gate is open.
WITH {{locked}}
SELECT {{gate_is_open(locked.namespace)}} FROM locked
