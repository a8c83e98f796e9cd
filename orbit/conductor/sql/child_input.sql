-- The input of a child that fan-out made: from its parent's input, with the child's index.
-- args: input, index
(CASE jsonb_typeof({{input}} -> 'child')
    WHEN 'object' THEN {{input}} -> 'child'
    ELSE {{input}} - 'fanout'
END || jsonb_build_object('index', {{index}}))
