-- The groups of a user, and their namespaces; null: the whole workspace.
-- args: user_id
ARRAY(
    SELECT g.name
    FROM auth_user_groups m
    JOIN auth_group g ON g.id = m.group_id
    WHERE m.user_id = {{user_id}}
),
CASE WHEN NOT EXISTS (SELECT 1 FROM governance_workspacegrant w WHERE w.user_id = {{user_id}})
     THEN ARRAY(
         SELECT n.name
         FROM governance_namespacegrant m
         JOIN governance_namespace n ON n.id = m.namespace_id
         WHERE m.user_id = {{user_id}}
     ) END
