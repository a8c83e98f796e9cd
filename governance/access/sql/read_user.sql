-- What a user may do now.
-- params: user_id bigint
SELECT u.username, u.is_superuser, {{grants_of(u.id)}}
FROM auth_user u
WHERE u.id = %(user_id)s AND u.is_active
