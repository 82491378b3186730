-- Revoke a key that is not revoked.
UPDATE api_key SET revoked_at = to_timestamp($2::float8), revoked_by = $3
WHERE id = $1::uuid AND revoked_at IS NULL
