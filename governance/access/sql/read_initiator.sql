-- What a user, and a token of theirs if the work was asked for with one, may do now.
-- params: user_id bigint, token_id bigint
SELECT
    u.username,
    u.is_active,
    u.is_superuser,
    {{grants_of(u.id)}},
    t.id IS NOT NULL,
    t.scopes,
    t.namespaces
FROM auth_user u
LEFT JOIN governance_apitoken t
    ON t.id = %(token_id)s
    AND t.owner_id = u.id
    AND t.revoked_at IS NULL
    AND (t.expires_at IS NULL OR t.expires_at > now())
WHERE u.id = %(user_id)s
