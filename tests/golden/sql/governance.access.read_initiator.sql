SELECT u.username, u.is_active, u.is_superuser, ARRAY(SELECT g.name
FROM auth_user_groups m
JOIN auth_group g ON g.id = m.group_id
WHERE m.user_id = u.id), CASE WHEN NOT EXISTS (SELECT 1
FROM governance_workspacegrant w
WHERE w.user_id = u.id) THEN ARRAY(SELECT n.name
FROM governance_namespacegrant m
JOIN governance_namespace n ON n.id = m.namespace_id
WHERE m.user_id = u.id) END, t.id IS NOT NULL, t.scopes, t.namespaces
FROM auth_user u
LEFT
JOIN governance_apitoken t ON t.id = %(token_id)s
AND t.owner_id = u.id
AND t.revoked_at IS NULL
AND (t.expires_at IS NULL
OR t.expires_at > now())
WHERE u.id = %(user_id)s
