-- Give a key that is not revoked another role or end; what is null stays, and the end goes where that is said.
UPDATE api_key SET
    role = coalesce($2, role),
    expires_at = CASE WHEN $4 THEN NULL ELSE coalesce(to_timestamp($3::float8), expires_at) END
WHERE id = $1::uuid AND revoked_at IS NULL
