-- A token that works, with its owner and what they may do now.
-- params: hash text, seconds int
SELECT
    t.id, t.scopes, t.namespaces,
    coalesce(t.last_used_at < statement_timestamp() - %(seconds)s * interval '1 second', true),
    {{grants_of(u.id)}},
    {{columns}}
FROM governance_apitoken t
JOIN auth_user u ON u.id = t.owner_id
WHERE t.token_hash = %(hash)s
  AND t.revoked_at IS NULL
  AND (t.expires_at IS NULL OR t.expires_at > statement_timestamp())
  AND u.is_active
