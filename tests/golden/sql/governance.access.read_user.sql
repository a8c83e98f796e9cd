SELECT u.username, u.is_superuser, ARRAY(SELECT g.name
FROM auth_user_groups m
JOIN auth_group g ON g.id = m.group_id
WHERE m.user_id = u.id), CASE WHEN NOT EXISTS (SELECT 1
FROM governance_workspacegrant w
WHERE w.user_id = u.id) THEN ARRAY(SELECT n.name
FROM governance_namespacegrant m
JOIN governance_namespace n ON n.id = m.namespace_id
WHERE m.user_id = u.id) END
FROM auth_user u
WHERE u.id = %(user_id)s
AND u.is_active
