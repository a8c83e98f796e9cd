SELECT t.id, t.scopes, t.namespaces, coalesce(t.last_used_at < statement_timestamp() - %(seconds)s * interval '1 second', true), ARRAY(SELECT g.name
FROM auth_user_groups m
JOIN auth_group g ON g.id = m.group_id
WHERE m.user_id = u.id), CASE WHEN NOT EXISTS (SELECT 1
FROM governance_workspacegrant w
WHERE w.user_id = u.id) THEN ARRAY(SELECT n.name
FROM governance_namespacegrant m
JOIN governance_namespace n ON n.id = m.namespace_id
WHERE m.user_id = u.id) END, u.id, u.password, u.last_login, u.is_superuser, u.username, u.first_name, u.last_name, u.email, u.is_staff, u.is_active, u.date_joined
FROM governance_apitoken t
JOIN auth_user u ON u.id = t.owner_id
WHERE t.token_hash = %(hash)s
AND t.revoked_at IS NULL
AND (t.expires_at IS NULL
OR t.expires_at > statement_timestamp())
AND u.is_active
